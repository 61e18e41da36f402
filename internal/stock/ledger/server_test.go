package ledger_test

import (
	"context"
	"path/filepath"
	"testing"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/stocktest"
)

// servers are the real servers the ledger is promised to run on.
var servers = map[string]string{"mysql": stocktest.MySQLEnv, "mariadb": stocktest.MariaDBEnv}

// onServers runs a test on a database of its own on each server.
func onServers(t *testing.T, test func(t *testing.T, url string)) {
	for name, env := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, stocktest.NewDatabase(t, env))
		})
	}
}

// open opens the ledger at a URL. It is closed with the test.
func open(t testing.TB, url string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{URL: url, MaxConns: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// openMigrated is open with the tables made.
func openMigrated(t testing.TB, url string) *ledger.Ledger {
	t.Helper()
	l := open(t, url)
	if _, err := l.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, env := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stocktest.Run(t, func(t *testing.T) stocktest.Ledger {
				return openMigrated(t, stocktest.NewDatabase(t, env))
			})
		})
	}
}

// takesAllForNew is a ledger in which no batch looks its orders up before one of them was refused.
type takesAllForNew struct{ *ledger.Ledger }

func (l takesAllForNew) Apply(ctx context.Context, reqs []stock.Request) ([]stock.Decision, error) {
	l.LookNoMore()
	return l.Ledger.Apply(ctx, reqs)
}

func TestConformanceWithoutLooks(t *testing.T) {
	t.Parallel()
	for name, env := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stocktest.Run(t, func(t *testing.T) stocktest.Ledger {
				return takesAllForNew{openMigrated(t, stocktest.NewDatabase(t, env))}
			})
		})
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		stocktest.Run(t, func(t *testing.T) stocktest.Ledger {
			return takesAllForNew{migrated(t, openFile(t, filepath.Join(t.TempDir(), "stock.db")))}
		})
	})
}

func TestJobs(t *testing.T) {
	t.Parallel()
	for name, env := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stocktest.RunJobs(t, func(t *testing.T) stocktest.JobLedger {
				return openMigrated(t, stocktest.NewDatabase(t, env))
			})
		})
	}
}
