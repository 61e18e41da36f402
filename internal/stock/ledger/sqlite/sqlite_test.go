package sqlite_test

import (
	"path/filepath"
	"testing"

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

func TestConformance(t *testing.T) {
	t.Parallel()
	stocktest.Run(t, func(t *testing.T) stocktest.Ledger { return open(t) })
}
