package ledger_test

import (
	"errors"
	"testing"
	"time"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/stocktest"
)

// TestSeveralLockWaitsInOneStatementAreBusy: the server bounds each wait for a row,
// and the statement that locks the levels may wait for one row after the other, for
// longer than an answer is waited for. That is no reason to take the server for dead.
func TestSeveralLockWaitsInOneStatementAreBusy(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url+"?lockWait=2s&readTimeout=3s")
		stocked(t, l, 10, "a", "b")
		side := stocktest.Admin(t, url)
		first, err := side.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		second, err := side.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.ExecContext(t.Context(), "UPDATE stock SET updated_at=updated_at WHERE goods_id='a'"); err != nil {
			t.Fatal(err)
		}
		if _, err := second.ExecContext(t.Context(), "UPDATE stock SET updated_at=updated_at WHERE goods_id='b'"); err != nil {
			t.Fatal(err)
		}
		released := make(chan error, 1)
		time.AfterFunc(1700*time.Millisecond, func() { released <- first.Rollback() }) // the wait for b begins then
		reqs := deduct("1", line("a", 1), line("b", 1))
		began := time.Now()
		if _, err := l.Apply(t.Context(), reqs); !errors.Is(err, stock.ErrBusy) {
			t.Errorf("apply while b is held: %v after %s, want ErrBusy", err, time.Since(began))
		}
		if err := errors.Join(<-released, second.Rollback()); err != nil {
			t.Fatal(err)
		}
		wantVerdict(t, l, reqs, stock.Applied)
		wantLevel(t, l, "b", 9)
	})
}
