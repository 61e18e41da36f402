package sqlite_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/ledger/sqlite"
	"orderconsumer/internal/stock/stocktest"
)

// open returns a ledger with its tables in a file of its own.
func open(t *testing.T) *ledger.Ledger {
	t.Helper()
	l, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "stock of ?shop#1%.db")})
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
