package ledger_test

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/ledger/sqlite"
	"orderconsumer/internal/stock/stocktest"
)

// onAll runs a test on an empty database, tables not made, of every kind.
func onAll(t *testing.T, test func(t *testing.T, reopen func(testing.TB) *ledger.Ledger)) {
	onServers(t, func(t *testing.T, url string) {
		test(t, func(t testing.TB) *ledger.Ledger { return open(t, url) })
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "stock.db")
		test(t, func(t testing.TB) *ledger.Ledger { return openFile(t, path) })
	})
}

// openFile opens the ledger in a file. It is closed with the test.
func openFile(t testing.TB, path string) *ledger.Ledger {
	t.Helper()
	l, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func migrated(t testing.TB, l *ledger.Ledger) *ledger.Ledger {
	t.Helper()
	if _, err := l.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestErrorKillsTheTransaction: a caller that overlooks an error inside gets it
// at the end, and nothing before or after it is kept.
func TestErrorKillsTheTransaction(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		stocked(t, l, 10, "a")
		const steal = "UPDATE stock SET available=1 WHERE goods_id=x'61'"
		err := l.Transact(t.Context(), func(tx ledger.Transaction) error {
			if err := tx.Exec(t.Context(), steal); err != nil {
				t.Errorf("first statement: %v", err)
			}
			first := tx.Exec(t.Context(), "UPDATE stock SET available=-1 WHERE goods_id=x'61'")
			if !strings.Contains(fmt.Sprint(first), "stock_never_negative") {
				t.Errorf("a negative level: %v, want the CHECK to refuse it", first)
			}
			if again := tx.Exec(t.Context(), steal); again != first { //nolint:errorlint // the very same error
				t.Errorf("a statement after the error: %v, want %v", again, first)
			}
			if again := tx.Query(t.Context(), "SELECT 1"); again != first { //nolint:errorlint // the very same error
				t.Errorf("a query after the error: %v, want %v", again, first)
			}
			return nil
		})
		if !errors.Is(err, stock.ErrBusy) {
			t.Errorf("transaction: %v, want the error that was overlooked", err)
		}
		wantLevel(t, l, "a", 10)
	})
}

func TestErrorOfTheFunctionRollsBack(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		stocked(t, l, 10, "a")
		surprise := errors.New("surprise")
		err := l.Transact(t.Context(), func(tx ledger.Transaction) error {
			if err := tx.Exec(t.Context(), "UPDATE stock SET available=1 WHERE goods_id=x'61'"); err != nil {
				t.Error(err)
			}
			return surprise
		})
		if !errors.Is(err, surprise) {
			t.Errorf("transaction: %v, want %v", err, surprise)
		}
		if errors.Is(err, stock.ErrUnavailable) {
			t.Errorf("transaction: %v, but the database did all it was asked", err)
		}
		wantLevel(t, l, "a", 10)
	})
}

func TestMigrateOnce(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		first := reopen(t)
		pending, err := first.Pending(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(pending) == 0 {
			t.Error("nothing pending on an empty database")
		}
		const instances = 5
		applied := make([][]string, instances)
		ledgers := make([]*ledger.Ledger, instances)
		for i := range instances {
			ledgers[i] = reopen(t)
		}
		var wg sync.WaitGroup
		for i := range instances {
			wg.Go(func() {
				var err error
				if applied[i], err = ledgers[i].Migrate(t.Context()); err != nil {
					t.Errorf("instance %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		// On SQLite instances may take turns between two files, so only the order
		// of each instance's own is bound, and that nothing was applied twice.
		var all []string
		worked := 0
		for i, files := range applied {
			if !slices.IsSorted(files) {
				t.Errorf("instance %d applied %q, out of order", i, files)
			}
			all = append(all, files...)
			if len(files) > 0 {
				worked++
			}
		}
		if worked != 1 && !strings.HasSuffix(t.Name(), "/sqlite") {
			t.Errorf("%d instances worked, want one while the others wait", worked)
		}
		slices.Sort(all)
		if diff := cmp.Diff(pending, all); diff != "" {
			t.Errorf("applied by %d instances at once (-pending +applied):\n%s", instances, diff)
		}
		if pending, err = first.Pending(t.Context()); err != nil || len(pending) != 0 {
			t.Errorf("pending afterwards: %v, %v", pending, err)
		}
		stocked(t, first, 1, "a")
		wantLevel(t, first, "a", 1)
	})
}

func TestNotMigratedIsUnavailable(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := open(t, url)
		if _, err := l.Apply(t.Context(), deduct("1", line("a", 1))); !errors.Is(err, stock.ErrUnavailable) {
			t.Errorf("apply without tables: %v, want ErrUnavailable", err)
		}
	})
}

// TestAccountTroubleIsUnavailable uses users of its own with less and less
// rights. That nothing may be written is what a read-only server says as well.
func TestAccountTroubleIsUnavailable(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, databaseURL string) {
		l := openMigrated(t, databaseURL)
		stocked(t, l, 10, "a")
		u, err := url.Parse(databaseURL)
		if err != nil {
			t.Fatal(err)
		}
		name := u.Path[1:]
		side := stocktest.Admin(t, databaseURL)
		user := "r" + name[len(name)-16:]
		const password = "only:r/ead@"
		for _, text := range []string{
			fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", user, password),
			fmt.Sprintf("GRANT SELECT ON %s.* TO '%s'@'%%'", name, user),
		} {
			if _, err := side.ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { dropUser(t, databaseURL, user) })

		u.User = url.UserPassword(user, password)
		reader := open(t, u.String())
		if _, err := reader.Apply(t.Context(), deduct("1", line("a", 1))); !errors.Is(err, stock.ErrUnavailable) {
			t.Errorf("apply without the right to write: %v, want ErrUnavailable", err)
		}
		if pending, err := reader.Pending(t.Context()); err != nil || len(pending) != 0 {
			t.Errorf("pending, asked without the right to write: %v, %v", pending, err)
		}
		if _, err := reader.Lookup(t.Context(), "1"); !errors.Is(err, stock.ErrNotFound) {
			t.Errorf("look up: %v, want ErrNotFound", err)
		}

		wrong := *u
		wrong.User = url.UserPassword(user, "not-"+password)
		missing := *u
		missing.Path = "/no_such_database"
		for what, bad := range map[string]url.URL{"a wrong password": wrong, "a missing database": missing} {
			_, err := ledger.Open(t.Context(), ledger.Config{URL: bad.String()})
			if !errors.Is(err, stock.ErrUnavailable) {
				t.Errorf("open with %s: %v, want ErrUnavailable", what, err)
			}
			if strings.Contains(fmt.Sprint(err), password) {
				t.Errorf("open with %s tells the password: %v", what, err)
			}
		}
		wantLevel(t, l, "a", 10)
	})
}

func dropUser(t *testing.T, databaseURL, user string) {
	t.Helper()
	if _, err := stocktest.Admin(t, databaseURL).Exec(fmt.Sprintf("DROP USER '%s'@'%%'", user)); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := reopen(t)
		s, err := l.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Version == "" || s.Dialect != l.Dialect() || s.ReadOnly {
			t.Errorf("settings %+v", s)
		}
		if !strings.HasSuffix(t.Name(), s.Dialect) {
			t.Errorf("%s was taken for %s", t.Name(), s.Dialect)
		}
		if l.Dialect() == "sqlite" {
			return
		}
		if s.FlushLogAtCommit == "" || s.LogBin == "" || s.SyncBinlog == "" || s.Isolation == "" {
			t.Errorf("settings %+v", s)
		}
		const sameMachine = 1000 // milliseconds; the servers of a test run are here
		if ms := s.ClockOffset.Abs().Milliseconds(); ms > sameMachine {
			t.Errorf("the server's clock is off by %d ms", ms)
		}
		if err := l.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
