package order

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/stock"
)

// TestRowsHeldForLong is about orders whose rows somebody holds for longer than all
// tries in place take.
func TestRowsHeldForLong(t *testing.T) {
	t.Parallel()

	t.Run("by a COMMIT of theirs that was never answered", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			hangs := time.Now().Add(10 * time.Minute) // the COMMIT, in the server
			first := true
			ledger := ledgerFunc(func(ctx context.Context, r []stock.Request) ([]stock.Decision, error) {
				switch {
				case first:
					first = false
					return nil, stock.ErrUnknownCommit
				case time.Now().Before(hangs):
					return nil, stock.ErrRowsLocked
				}
				decisions, err := deductAll(ctx, r)
				for i := range decisions {
					decisions[i].Verdict = stock.Known
				}
				return decisions, err
			})
			i := newInstance(ledger, newLockTable(), 1, func(c *FlowConfig) { c.Scheduler.MaxBatch = 100 })
			for n := range 10 {
				i.submit(t, fmt.Sprint(n), "hot")
			}
			i.start(t.Context())
			i.drained(t)
			if i.settled != 10 || i.retried != 0 || len(i.paused) != 0 {
				t.Errorf("settled %d of 10, %d by a retry; still paused: %v", i.settled, i.retried, i.paused)
			}
		})
	})

	t.Run("by a COMMIT of another worker that was never answered", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			hangs := time.Now().Add(10 * time.Minute)
			var first atomic.Bool
			ledger := ledgerFunc(func(ctx context.Context, r []stock.Request) ([]stock.Decision, error) {
				switch {
				case first.CompareAndSwap(false, true):
					return nil, stock.ErrUnknownCommit
				case time.Now().Before(hangs):
					return nil, stock.ErrRowsLocked
				}
				return deductAll(ctx, r)
			})
			i := newInstance(ledger, newLockTable(), 2, nil)
			i.submit(t, "1", "hot")
			i.submit(t, "2", "hot")
			i.start(t.Context())
			i.drained(t)
			if i.settled != 2 || i.retried != 0 || len(i.paused) != 0 {
				t.Errorf("settled %d of 2, %d by a retry; still paused: %v", i.settled, i.retried, i.paused)
			}
			if left := i.doubts.Load(); left != 0 {
				t.Errorf("%d tasks are in doubt", left)
			}
		})
	})

	t.Run("by somebody else", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			free := time.Now().Add(10 * time.Minute)
			ledger := ledgerFunc(func(ctx context.Context, r []stock.Request) ([]stock.Decision, error) {
				if time.Now().Before(free) {
					return nil, stock.ErrRowsLocked
				}
				return deductAll(ctx, r)
			})
			i := newInstance(ledger, newLockTable(), 2, nil)
			i.submit(t, "1", "hot")
			i.start(t.Context())
			i.drained(t)
			if i.retried != 1 {
				t.Errorf("%d orders went to a retry tier, want the one that was in nobody's doubt", i.retried)
			}
		})
	})

	t.Run("an order goes through the last tier again", func(t *testing.T) {
		t.Parallel()
		f, _ := limitedFlow(nil)
		m := *readMessage("a", "1")
		m.Value = []byte(`{"type":"order.created","order_id":"A-1","items":[{"goods_id":"421","num":2}]}`)
		for attempt := 1; attempt <= 5; attempt++ {
			task := newTask(m, unmarked{}, appended, 0)
			task.delivery.Attempt = attempt
			if messages, s := f.failed(task, stock.ErrRowsLocked); s.Outcome != SettledRetried || messages[0].Topic != f.cfg.Topics.Tiers[0].Topic {
				t.Errorf("attempt %d: %s, to %s", attempt, s.Outcome, messages[0].Topic)
			}
		}
		task := newTask(m, unmarked{}, appended, 0)
		task.delivery.Attempt = 2
		for _, cause := range []error{ErrGoodsUnknown, stock.ErrBusy} { // busy: a row that is there and should not
			if _, s := f.failed(task, cause); s.Outcome != SettledDead {
				t.Errorf("%v: %s", cause, s.Outcome)
			}
		}
	})
}

// TestLockedRowsCountFromTheEndOfADoubt: what was met while a COMMIT was not answered is no
// attempt of the order.
func TestLockedRowsCountFromTheEndOfADoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := time.Now().Add(10 * time.Minute)
		var sent atomic.Bool
		var after atomic.Int32
		ledger := ledgerFunc(func(ctx context.Context, r []stock.Request) ([]stock.Decision, error) {
			inDoubt := r[0].Order == "1"
			switch {
			case inDoubt && sent.CompareAndSwap(false, true):
				return nil, stock.ErrUnknownCommit
			case time.Now().Before(hangs), !inDoubt && after.Add(1) < againMost:
				return nil, stock.ErrRowsLocked
			}
			return deductAll(ctx, r)
		})
		i := newInstance(ledger, newLockTable(), 2, nil)
		i.submit(t, "1", "a")
		i.start(t.Context())
		synctest.Wait()
		i.submit(t, "2", "b")
		i.drained(t)
		if i.settled != 2 || i.retried != 0 || after.Load() != againMost {
			t.Errorf("settled %d of 2, %d by a retry, after %d lock waits", i.settled, i.retried, after.Load())
		}
	})
}
