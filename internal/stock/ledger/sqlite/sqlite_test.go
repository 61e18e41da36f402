package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/ledger/sqlite"
	"orderconsumer/internal/stock/stocktest"
)

// open returns a ledger with its tables in a file of its own.
func open(t *testing.T) *ledger.Ledger {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "stock of ?shop#1%.db"), nil)
}

// openAt returns a ledger with its tables in a file, which others may have open.
func openAt(t *testing.T, path string, clock func() time.Time) *ledger.Ledger {
	t.Helper()
	l, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := l.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestWritersTakeTurns: nobody is sent away while another one writes.
func TestWritersTakeTurns(t *testing.T) {
	t.Parallel()
	l := open(t)
	if _, err := l.Set(t.Context(), "", stock.Line{Goods: "a", Num: 1000}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 10 {
				req := stock.Request{Order: fmt.Sprint(worker, "-", i), Action: stock.Deduct, Lines: []stock.Line{{Goods: "a", Num: 1}}, Attempt: 1}
				if _, err := l.Apply(t.Context(), []stock.Request{req}); err != nil {
					t.Errorf("apply beside other writers: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if level, err := l.Get(t.Context(), "a"); err != nil || level.Available != 1000-8*10 {
		t.Errorf("level %+v, %v", level, err)
	}
}

// TestChangesAreTold: what is told is what is read afterwards, and what may not
// have been committed is told without a version.
func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	l := openAt(t, path, nil)
	told := make(map[string]stock.Level)
	calls := 0
	l.OnChange(func(levels []stock.Level) {
		calls++
		for _, level := range levels {
			told[level.Goods] = level
		}
	})
	apply := func(ctx context.Context, order string) error {
		_, err := l.Apply(ctx, []stock.Request{{
			Order: order, Action: stock.Deduct, Lines: []stock.Line{{Goods: "a", Num: 1}}, Attempt: 1,
		}})
		return err
	}
	if _, err := l.Import(t.Context(), ledger.Import{Mode: stock.Set, Lines: []stock.Line{{Goods: "a", Num: 5}, {Goods: "b", Num: 6}}}); err != nil {
		t.Fatal(err)
	}
	if err := apply(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	got, err := l.Levels(t.Context(), []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, told); diff != "" || calls != 2 {
		t.Errorf("%d calls; levels (-read +told):\n%s", calls, diff)
	}
	if err := apply(t.Context(), "1"); err != nil || calls != 2 {
		t.Errorf("a duplicate changes nothing: %v, %d calls", err, calls)
	}

	// The last moment at which the transaction can be made to fail.
	ctx, cancel := context.WithCancel(t.Context())
	clock := func() time.Time { cancel(); return time.Now() }
	failing := openAt(t, path, clock)
	var failed []stock.Level
	failing.OnChange(func(levels []stock.Level) { failed = levels })
	_, err = failing.Apply(ctx, []stock.Request{{Order: "2", Action: stock.Deduct, Lines: []stock.Line{{Goods: "a", Num: 1}}, Attempt: 1}})
	if err == nil || len(failed) != 1 || failed[0].Goods != "a" || failed[0].Version != 0 {
		t.Errorf("after %v told %+v, want a without a version", err, failed)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for what, path := range map[string]string{"no path": "", "a directory": t.TempDir(), "a missing directory": filepath.Join(t.TempDir(), "no", "such.db")} {
		if l, err := sqlite.Open(t.Context(), sqlite.Config{Path: path}); err == nil {
			t.Errorf("%s is opened", what)
			_ = l.Close()
		}
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	stocktest.Run(t, func(t *testing.T) stocktest.Ledger { return open(t) })
}

func TestJobs(t *testing.T) {
	t.Parallel()
	stocktest.RunJobs(t, func(t *testing.T) stocktest.JobLedger { return open(t) })
}
