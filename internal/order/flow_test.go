package order

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/stock"
)

// watcher notes what a flow reports.
type watcher struct {
	mu      sync.Mutex
	paused  map[string]error
	settled int
	retried int           // of those settled, sent to a tier
	took    time.Duration // of the last one settled
	kept    time.Duration // the longest that goods were locked
}

func (w *watcher) Settled(s Settlement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settled++
	if s.Outcome == SettledRetried {
		w.retried++
	}
	w.took = s.Took
}

func (w *watcher) Paused(dependency string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		delete(w.paused, dependency)
		return
	}
	w.paused[dependency] = err
}

func (w *watcher) LockHeld(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = max(w.kept, d)
}

func (*watcher) Applied(int, time.Duration) {}
func (*watcher) LockWaited(time.Duration)   {}
func (*watcher) InFlight(int)               {}
func (*watcher) Busy(int)                   {}

// Retried and LockFailed hold the flow to the reasons that it promises: metrics
// and log lines are made for these.
func (*watcher) Retried(reason string)    { mustBeOneOf(reason, RetryReasons()) }
func (*watcher) LockFailed(reason string) { mustBeOneOf(reason, LockReasons()) }

func mustBeOneOf(reason string, promised []string) {
	if !slices.Contains(promised, reason) {
		panic(fmt.Sprintf("the flow reports %q, which is none of %q", reason, promised))
	}
}

// lockAway is a lock service that never answers.
type lockAway struct{ asked atomic.Int64 }

func (l *lockAway) Lock(context.Context, []string) (Lease, error) {
	l.asked.Add(1)
	return nil, ErrLockUnavailable
}

// ledgerFunc is a ledger in one function.
type ledgerFunc func(context.Context, []stock.Request) ([]stock.Decision, error)

func (f ledgerFunc) Apply(ctx context.Context, r []stock.Request) ([]stock.Decision, error) {
	return f(ctx, r)
}

// confirmed is a log that confirms everything.
type confirmed struct{}

func (confirmed) Publish(context.Context, []Message) ([]Message, error) { return nil, nil }

// unmarked is a partition that nobody commits.
type unmarked struct{}

func (unmarked) Done(int64) {}

func deductAll(_ context.Context, requests []stock.Request) ([]stock.Decision, error) {
	decisions := make([]stock.Decision, len(requests))
	for i, r := range requests {
		decisions[i] = stock.Decision{
			Verdict: stock.Applied,
			Record:  stock.Record{Order: r.Order, State: stock.Deducted, Lines: r.Lines},
		}
	}
	return decisions, nil
}

func newTestFlow(w *watcher, l Ledger, timeout time.Duration) *Flow {
	return NewFlow(FlowConfig{
		Topics: NewTopics("in", "g", nil), Group: "g", Workers: 1,
		Scheduler: schedulerConfig(), LockBudget: time.Second, TransactionTimeout: timeout,
	}, FlowDeps{Ledger: l, Publisher: confirmed{}, Observer: w, Now: time.Now})
}

func submitEvents(t *testing.T, f *Flow, n int) {
	t.Helper()
	for i := range n {
		value := fmt.Sprintf(`{"type":"order.created","order_id":"%d","items":[{"goods_id":"g%d","num":1}]}`, i, i)
		err := f.Submit(t.Context(), Message{Topic: "in", Offset: int64(i), Value: []byte(value)}, unmarked{})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestFlow(t *testing.T) {
	t.Parallel()

	t.Run("a pause does not outlive its flow", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := &watcher{paused: make(map[string]error)}
			f := newTestFlow(w, ledgerFunc(func(context.Context, []stock.Request) ([]stock.Decision, error) {
				return nil, stock.ErrUnavailable
			}), time.Second)
			submitEvents(t, f, 1)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- f.Run(ctx) }()
			synctest.Wait() // it rests between two tries
			w.mu.Lock()
			down := maps.Clone(w.paused)
			w.mu.Unlock()
			if len(down) != 1 {
				t.Errorf("paused: %v", down)
			}
			cancel()
			<-done
			if len(w.paused) != 0 || w.settled != 0 {
				t.Errorf("settled %d, still paused: %v", w.settled, w.paused)
			}
		})
	})

	t.Run("a batch too slow for the database is halved", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			const perOrder = 200 * time.Millisecond // 100 orders never fit into 15 s, 50 do
			w := &watcher{paused: make(map[string]error)}
			f := newTestFlow(w, ledgerFunc(func(ctx context.Context, r []stock.Request) ([]stock.Decision, error) {
				err := pause(ctx, time.Duration(len(r))*perOrder)
				if err != nil {
					return nil, err
				}
				return deductAll(ctx, r)
			}), 15*time.Second)
			submitEvents(t, f, 100)
			f.sched.close()
			err := f.Run(t.Context())
			if err != nil || w.settled != 100 {
				t.Errorf("settled %d: %v", w.settled, err)
			}
		})
	})

	t.Run("a clock that is put back stops nothing", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var (
				w     = &watcher{paused: make(map[string]error)}
				away  lockAway
				back  atomic.Int64
				clock = func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
			)
			f := NewFlow(FlowConfig{
				Topics: NewTopics("in", "g", nil), Group: "g", Workers: 1,
				Scheduler: schedulerConfig(), LockBudget: time.Second, TransactionTimeout: time.Second,
			}, FlowDeps{Ledger: ledgerFunc(deductAll), Locker: &away, Publisher: confirmed{}, Observer: w, Now: clock})
			ended := make(chan error, 1)
			go func() { ended <- f.Run(t.Context()) }()
			submitEvents(t, f, 1)
			synctest.Wait()
			back.Store(int64(time.Hour))
			time.Sleep(gateShut)
			submitEvents(t, f, 1)
			f.Drain()
			if err := <-ended; err != nil || away.asked.Load() != 2 {
				t.Errorf("the lock was asked %d times, want once before and once after: %v", away.asked.Load(), err)
			}
			if w.took < 0 || w.took > gateShut {
				t.Errorf("an event took %s from hand-over to settlement", w.took)
			}
		})
	})

	t.Run("a drain leaves what no worker has taken in time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := &watcher{paused: make(map[string]error)}
			f := newTestFlow(w, ledgerFunc(func(ctx context.Context, r []stock.Request) ([]stock.Decision, error) {
				err := pause(ctx, 2*time.Second)
				if err != nil {
					return nil, err
				}
				return deductAll(ctx, r)
			}), 15*time.Second)
			submitEvents(t, f, 500) // five batches
			began := time.Now()
			f.Drain()
			err := f.Run(t.Context())
			if err != nil || w.settled != 100 || time.Since(began) > 3*time.Second {
				t.Errorf("settled %d in %s: %v", w.settled, time.Since(began), err)
			}
		})
	})
}
