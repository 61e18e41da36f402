package order

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/stock"
)

// neverFree is a lock service whose goods somebody else keeps.
type neverFree struct{}

func (neverFree) Lock(ctx context.Context, goods []string) (Lease, error) {
	<-ctx.Done()
	return nil, &GoodsLockedError{Goods: goods[0]}
}

// stalled is a log that confirms nothing while it is.
type stalled struct{ on chan struct{} }

func (s stalled) Publish(ctx context.Context, messages []Message) ([]Message, error) {
	select {
	case <-s.on:
		return nil, nil
	case <-ctx.Done():
		return messages, fmt.Errorf("%w: %w", ErrPublish, ctx.Err())
	}
}

// TestABatchThatIsCutShortIsNoBatchOfDeadLetters: a rebalance ends the wait for goods that
// another instance has. The orders of the batch are left to others and have no end, the
// events that cannot be used have theirs, and they are few among all that was read.
func TestABatchThatIsCutShortIsNoBatchOfDeadLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const good, broken = 85, 15
		w := &watcher{paused: make(map[string]error)}
		f := NewFlow(FlowConfig{
			Topics: NewTopics("in", "g", nil), Group: "g", Workers: 1,
			Scheduler: schedulerConfig(), LockBudget: 10 * time.Second, TransactionTimeout: time.Second,
		}, FlowDeps{
			Ledger: ledgerFunc(deductAll), Locker: neverFree{}, Publisher: confirmed{}, Observer: w, Now: time.Now,
			Breaker: NewBreaker(BreakerConfig{Window: 1000, MinDead: 10, MaxRatio: 0.5}),
		})
		submitEvents(t, f, good)
		for i := range broken {
			err := f.Submit(t.Context(), Message{Topic: "in", Offset: int64(good + i), Value: []byte("{broken")}, unmarked{})
			if err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error, 1)
		go func() { ended <- f.Run(t.Context()) }()
		synctest.Wait()
		f.Drain()
		if err := <-ended; err != nil || w.settled != broken {
			t.Errorf("settled %d, want the %d that cannot be used: %v", w.settled, broken, err)
		}
	})
}

// TestFlowsShareTheirInstancesBreaker: a rebalance must not let more dead letters through.
func TestFlowsShareTheirInstancesBreaker(t *testing.T) {
	t.Parallel()
	const most = 10
	breaker := NewBreaker(BreakerConfig{Window: 1000, MinDead: most, MaxRatio: 0.5})
	settled := 0
	for n := 1; ; n++ {
		w := &watcher{paused: make(map[string]error)}
		f := newTestFlow(w, ledgerFunc(deductAll), time.Second)
		f.deps.Breaker = breaker
		for i := range most / 2 {
			err := f.Submit(t.Context(), Message{Topic: "in", Offset: int64(i), Value: []byte("{broken")}, unmarked{})
			if err != nil {
				t.Fatal(err)
			}
		}
		f.Drain()
		err := f.Run(t.Context())
		settled += w.settled
		if errors.Is(err, ErrTooManyDead) {
			break
		}
		if err != nil || n > 2 {
			t.Fatalf("flow %d ended with %v", n, err)
		}
	}
	if settled >= most {
		t.Errorf("%d dead letters got through, want fewer than %d", settled, most)
	}
}

// TestAnOrderWithoutATierWaitsForItsRows: a COMMIT of it that hangs in the server may be
// what holds them, and it must not become a dead letter meanwhile.
func TestAnOrderWithoutATierWaitsForItsRows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const held = 10 * time.Minute
		w, log := &watcher{paused: make(map[string]error)}, &limitedLog{}
		began := time.Now()
		f := newTestFlow(w, ledgerFunc(func(ctx context.Context, r []stock.Request) ([]stock.Decision, error) {
			if time.Since(began) >= held || !slices.ContainsFunc(r, func(r stock.Request) bool { return r.Order == "3" }) {
				return deductAll(ctx, r)
			}
			return nil, errors.Join(stock.ErrRowsLocked, stock.ErrBusy)
		}), time.Minute)
		f.deps.Publisher = log
		submitEvents(t, f, 8)
		f.sched.close()
		if err := f.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := slices.Repeat([]string{"in.results"}, 8)
		if topics := log.topics(); !slices.Equal(topics, want) {
			t.Errorf("published to %v, want eight outcomes", topics)
		}
		if waited := time.Since(began); waited < held {
			t.Errorf("settled all in %s, before the rows were free", waited)
		}
	})
}

// TestADecoderThatPanicsTakesNothingWithIt: its event is tried again, by this program or the
// next, and ends among the dead letters.
func TestADecoderThatPanicsTakesNothingWithIt(t *testing.T) {
	t.Parallel()
	task := &task{message: Message{Topic: "in", Value: []byte("{}")}}
	task.read(func(*Message) (Event, error) { panic("index out of range") }, time.Now(), 0)
	if fate, code := Classify(task.fault); fate != Retry || code != CodePanic {
		t.Errorf("%v: fate %v, code %s", task.fault, fate, code)
	}
}

// TestWhatIsBeingWorkedOnIsBounded while nothing can be published: a batch in the worker's
// hands, another whose outcomes are not confirmed, and what waits.
func TestWhatIsBeingWorkedOnIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const waiting, batch = 900, 450
		w := &watcher{paused: make(map[string]error)}
		f := newTestFlow(w, ledgerFunc(deductAll), time.Second)
		f.sched.cfg.MaxWaitingBytes, f.sched.cfg.MaxBatchBytes = waiting, batch
		log := stalled{on: make(chan struct{})}
		f.deps.Publisher = log
		ended := make(chan error, 1)
		go func() { ended <- f.Run(t.Context()) }()
		var taken atomic.Int64
		read, stop := context.WithCancel(t.Context())
		go func() {
			for i := 0; ; i++ {
				value := fmt.Sprintf(`{"type":"order.created","order_id":"%d","items":[{"goods_id":"g%d","num":1}]}`, i, i)
				if f.Submit(read, Message{Topic: "in", Offset: int64(i), Value: []byte(value)}, unmarked{}) != nil {
					return
				}
				taken.Add(int64(len(value)))
			}
		}()
		synctest.Wait()
		if most := int64(waiting + 2*batch); taken.Load() > most || taken.Load() < waiting {
			t.Errorf("%d bytes were taken in, want %d at the most", taken.Load(), most)
		}
		stop()
		close(log.on)
		synctest.Wait()
		f.Drain()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// shortLived is a lock service whose leases are lost a moment after they were given.
type shortLived struct{ given atomic.Int64 }

type shortLease struct{ lost chan struct{} }

func (l *shortLived) Lock(context.Context, []string) (Lease, error) {
	l.given.Add(1)
	lease := shortLease{lost: make(chan struct{})}
	time.AfterFunc(100*time.Millisecond, func() { close(lease.lost) })
	return lease, nil
}

func (shortLease) Waited() bool                 { return false }
func (l shortLease) Lost() <-chan struct{}      { return l.lost }
func (shortLease) Unlock(context.Context) error { return nil }

// TestALockThatNeverLastsKeepsNoBatchFromEnding: after so many losses the batch goes on
// under the row locks alone.
func TestALockThatNeverLastsKeepsNoBatchFromEnding(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, locks := &watcher{paused: make(map[string]error)}, &shortLived{}
		f := newTestFlow(w, ledgerFunc(func(ctx context.Context, r []stock.Request) ([]stock.Decision, error) {
			if err := pause(ctx, time.Second); err != nil {
				return nil, err
			}
			return deductAll(ctx, r)
		}), 15*time.Second)
		f.deps.Locker = locks
		submitEvents(t, f, 1)
		f.sched.close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := f.Run(ctx)
		if err != nil || w.settled != 1 || locks.given.Load() != lostMost+1 {
			t.Errorf("settled %d under %d locks, want 1 under %d: %v", w.settled, locks.given.Load(), lostMost+1, err)
		}
	})
}

// TestWhatABatchHasNoRoomForIsAnotherWorkers: one message calls one worker, and where that
// leaves something it has to call the next.
func TestWhatABatchHasNoRoomForIsAnotherWorkers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := schedulerConfig()
		cfg.MaxBatch, cfg.MaxBatchLines, cfg.GatherFor = 4, 1, time.Minute
		s := newScheduler(cfg, time.Now)
		submitAll(t, s, waitingTask("first", "a"))
		s.freeGoods(take(t, s))
		began := time.Now()
		took := make(chan time.Duration, 2)
		for range 2 {
			go func() {
				take(t, s)
				took <- time.Since(began)
			}()
		}
		submitAll(t, s, waitingTask("second", "b"))
		synctest.Wait() // it gathers, for there is a worker at work
		s.mu.Lock()     // three that come before the worker which the first of them calls gets to look
		s.waiting = append(s.waiting, waitingTask("third", "c"), waitingTask("fourth", "d"))
		s.work.Signal()
		s.mu.Unlock()
		for range 2 {
			if waited := <-took; waited > 0 {
				t.Errorf("a worker waited for %s although there was a message for it", waited)
			}
		}
	})
}
