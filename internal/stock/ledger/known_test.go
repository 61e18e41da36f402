package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/stocktest"
)

func batchOf(requests ...[]stock.Request) []stock.Request { return slices.Concat(requests...) }

// applied wants a batch to be answered with these verdicts.
func applied(t *testing.T, l *ledger.Ledger, reqs []stock.Request, want ...stock.Verdict) {
	t.Helper()
	decisions, err := l.Apply(t.Context(), reqs)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]stock.Verdict, len(decisions))
	for i := range decisions {
		got[i] = decisions[i].Verdict
	}
	if !slices.Equal(got, want) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
}

func wantLooks(t *testing.T, l *ledger.Ledger, want int) {
	t.Helper()
	if got := l.LooksLeft(); got != want {
		t.Errorf("%d more batches look their orders up, want %d", got, want)
	}
}

// TestAnOrderThatWasTakenForNew: the batch is refused by the order's key and done again, and its
// other orders are deducted once. As many batches as are said look then, and no more.
func TestAnOrderThatWasTakenForNew(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		stocked(t, l, 100, "a")
		applied(t, l, deduct("1", line("a", 2)), stock.Applied)
		wantLooks(t, l, 0)
		refused := 0
		l.OnRefused(func() { refused++ })
		applied(t, l, batchOf(deduct("0", line("a", 3)), deduct("1", line("a", 2)), deduct("2", line("a", 4))),
			stock.Applied, stock.Known, stock.Applied)
		wantLevel(t, l, "a", 91)
		wantLooks(t, l, ledger.LookAfter)
		for i := range ledger.LookAfter {
			applied(t, l, deduct(fmt.Sprint("new", i), line("a", 1)), stock.Applied)
			wantLooks(t, l, ledger.LookAfter-i-1)
		}
		applied(t, l, deduct("2", line("a", 5)), stock.Conflict)
		wantLevel(t, l, "a", 91-ledger.LookAfter)
		wantLooks(t, l, ledger.LookPays) // it was too soon
		if refused != 2 {
			t.Errorf("%d transactions were refused by a key, want 2", refused)
		}
	})
}

// TestAKnownOrderOfGoodsThatAreNotThere: nothing would be inserted for it, so that no key says that it is
// known. Its answer is the one it had.
func TestAKnownOrderOfGoodsThatAreNotThere(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		stocked(t, l, 9, "a", "b")
		applied(t, l, deduct("1", line("a", 1)), stock.Applied)
		err := l.Transact(t.Context(), func(tx ledger.Transaction) error {
			return tx.Exec(t.Context(), "DELETE FROM stock WHERE goods_id=x'61'")
		})
		if err != nil {
			t.Fatal(err)
		}
		applied(t, l, batchOf(deduct("2", line("b", 1)), deduct("1", line("a", 1))), stock.Applied, stock.Known)
		applied(t, l, deduct("3", line("a", 1)), stock.UnknownGoods)
	})
}

// TestAnOrderThatWasTakenForNewAhead: the batch was refused beside the one before, which it does not
// wait for to know.
func TestAnOrderThatWasTakenForNewAhead(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		l.SetPatience(time.Minute)
		stocked(t, l, 9, "a")
		applied(t, l, deduct("1", line("a", 1)), stock.Applied)
		s := newStops(l, passage{crash.BeforeCommit, 1})
		one := applyBeside(t.Context(), l, deduct("2", line("a", 1)))
		s.reach(t, passage{crash.BeforeCommit, 1}, one)
		two := applyBeside(t.Context(), l, batchOf(deduct("1", line("a", 1)), deduct("3", line("a", 2))))
		if !l.AwaitLooks(t.Context()) {
			t.Error("the batch was not refused by its key while the one before it is held")
		}
		s.release(passage{crash.BeforeCommit, 1})
		wantStates(t, <-one, stock.Deducted)
		wantStates(t, <-two, stock.Deducted, stock.Deducted)
		wantLevel(t, l, "a", 5)
	})
}

// TestAKnownOrderOfGoodsThatAreNotThereAhead: the same, in a batch that is decided beside the one before.
func TestAKnownOrderOfGoodsThatAreNotThereAhead(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		l.SetPatience(time.Minute)
		stocked(t, l, 9, "a", "b")
		applied(t, l, deduct("1", line("a", 1)), stock.Applied)
		if _, err := stocktest.Admin(t, url).ExecContext(t.Context(), "DELETE FROM stock WHERE goods_id='a'"); err != nil {
			t.Fatal(err)
		}
		s := newStops(l, firstWritten, secondBegun)
		one := applyBeside(t.Context(), l, deduct("2", line("b", 1)))
		s.reach(t, firstWritten, one)
		two := applyBeside(t.Context(), l, batchOf(deduct("1", line("a", 1)), deduct("3", line("b", 2))))
		s.reach(t, secondBegun, two)
		s.release(firstWritten)
		s.release(secondBegun)
		wantStates(t, <-one, stock.Deducted)
		wantStates(t, <-two, stock.Deducted, stock.Deducted)
		s.want(t, 2, ledger.AheadRight)
	})
}

// TestABatchBehindOneThatWasTakenForNew: the first batch has locked the levels, and decided, when the key of one of its
// orders refuses it; the second waits for those levels, decided from what comes to nothing. That is no wrong expectation.
func TestABatchBehindOneThatWasTakenForNew(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url+"?lockWait=30s&readTimeout=40s")
		l.SetPatience(time.Minute)
		stocked(t, l, 9, "a")
		applied(t, l, deduct("1", line("a", 1)), stock.Applied)
		side := stocktest.Admin(t, url)
		tx, err := side.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "SELECT state FROM orders WHERE order_id='1' FOR UPDATE"); err != nil {
			t.Fatal(err)
		}
		s := newStops(l)
		one := applyBeside(t.Context(), l, batchOf(deduct("1", line("a", 1)), deduct("3", line("a", 2))))
		stocktest.AwaitStatement(t, side, "INSERT INTO orders")
		two := applyBeside(t.Context(), l, deduct("2", line("a", 4)))
		stocktest.AwaitStatement(t, side, "JOIN stock")
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		wantStates(t, <-one, stock.Deducted, stock.Deducted)
		wantStates(t, <-two, stock.Deducted)
		wantLevel(t, l, "a", 2)
		if s.first != ledger.AheadLate { // what comes of those after it is theirs to sort out
			t.Errorf("the batch behind was %q, want %q", s.first, ledger.AheadLate)
		}
	})
}
