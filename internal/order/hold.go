package order

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// lostMost is how often a batch whose lock is lost half-way is rolled back
	// and started again under a new lock. After that it goes on whether the
	// lock holds or not: an expiry shorter than the transaction would
	// otherwise keep the batch from ever ending, and the database's own row
	// locks guard it in any case.
	lostMost = 2

	// topUpWait is how long a batch must have waited for its lock before it is
	// worth looking for more orders of the same goods.
	topUpWait = 2 * time.Millisecond

	// gateShut is how long the lock is left alone after it did not answer.
	// Asking on every batch would cost each of them the lock's deadline.
	gateShut = time.Second

	// lockAfterBudget is how long each further goods is waited for once a batch
	// has used its budget up: long enough to find out who else is in the way, so
	// that a batch with a hundred goods locked by others does not wait a hundred
	// budgets.
	lockAfterBudget = 20 * time.Millisecond

	// unlockTimeout bounds the release of a lock, which no cancellation
	// reaches: an unreleased lock makes everybody wait for its expiry.
	unlockTimeout = time.Second
)

// GoodsLockedError says which goods somebody else held for too long.
type GoodsLockedError struct {
	Goods string
}

func (e *GoodsLockedError) Error() string {
	return fmt.Sprintf("goods %s are locked by another holder", e.Goods)
}

// Is makes errors.Is(err, ErrGoodsLocked) true.
func (e *GoodsLockedError) Is(target error) bool { return target == ErrGoodsLocked }

// hold is a batch's claim on its goods against other instances. A hold
// without a lease is valid too: the lock is off, not needed, or down.
type hold struct {
	flow  *Flow
	goods []string
	lease Lease
	since time.Time
	lost  int
}

// hold locks the goods of the batch, all of them. Tasks whose goods somebody
// else holds beyond the budget are answered with that failure; the others go
// on without them.
func (f *Flow) hold(ctx context.Context, b *batch) *hold {
	h := &hold{flow: f, goods: b.goods}
	begin := time.Now()
	for len(h.goods) > 0 {
		err := h.acquire(ctx, max(f.cfg.LockBudget-time.Since(begin), lockAfterBudget))
		var locked *GoodsLockedError
		if !errors.As(err, &locked) {
			break
		}
		f.deps.Observer.LockFailed("timeout")
		h.goods = refuse(b.tasks, locked)
	}
	waited := time.Since(begin)
	if h.lease != nil && waited > topUpWait && len(h.goods) == len(b.goods) {
		f.sched.topUp(b)
	}
	f.deps.Observer.LockWaited(waited)
	return h
}

// refuse answers the tasks that want the locked goods and returns the goods
// that the others want. A goods that nobody wants means that the error names
// something else than was asked for: then nothing is left to hold.
func refuse(tasks []*task, locked *GoodsLockedError) []string {
	left := make(map[string]struct{})
	for _, t := range tasks {
		if t.failure == nil && wants(t, locked.Goods) {
			t.failure = locked
		}
		if t.failure == nil {
			for i := range t.event.Lines {
				left[t.event.Lines[i].Goods] = struct{}{}
			}
		}
	}
	delete(left, locked.Goods)
	goods := make([]string, 0, len(left))
	for id := range left {
		goods = append(goods, id)
	}
	slices.Sort(goods)
	return goods
}

func wants(t *task, goods string) bool {
	for i := range t.event.Lines {
		if t.event.Lines[i].Goods == goods {
			return true
		}
	}
	return false
}

// acquire takes the lease within budget. It returns nil without one when the lock is off or
// down and not required, and when ctx ends (the transaction then finds out).
func (h *hold) acquire(ctx context.Context, budget time.Duration) error {
	f := h.flow
	for n := 1; f.deps.Locker != nil && f.gate.open(f.cfg.LockRequired); n++ {
		within, cancel := context.WithTimeout(ctx, budget)
		lease, err := f.deps.Locker.Lock(within, h.goods)
		cancel()
		if err == nil {
			h.lease, h.since = lease, time.Now()
			f.pauses.over("redis")
			return nil
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop: the transaction reports it
		}
		if errors.Is(err, ErrGoodsLocked) {
			return err
		}
		f.deps.Observer.LockFailed("redis_down")
		if !f.cfg.LockRequired {
			f.gate.shut()
			return nil
		}
		f.pauses.on("redis", err)
		err = rest(ctx, n)
		if err != nil {
			return nil //nolint:nilerr // told to stop: the transaction reports it
		}
	}
	return nil
}

// watch returns a context that is cancelled with ErrLockLost when the lease is
// lost, unless it has been lost too often already.
func (h *hold) watch(ctx context.Context) (_ context.Context, unwatch func()) {
	if h.lease == nil || h.lost >= lostMost {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var done sync.WaitGroup
	stop := make(chan struct{})
	done.Go(func() {
		select {
		case <-h.lease.Lost():
			cancel(ErrLockLost)
		case <-stop:
		}
	})
	return ctx, func() {
		close(stop)
		done.Wait()
		cancel(nil)
	}
}

// renew takes a new lease when the old one is lost.
func (h *hold) renew(ctx context.Context) {
	if h.lease == nil {
		return
	}
	select {
	case <-h.lease.Lost():
	default:
		return
	}
	h.lost++
	h.flow.deps.Observer.LockFailed("lost")
	h.release(ctx)
	// An error means that somebody else holds the goods now. The batch goes
	// on without a lease: it has been decided to be run, and the row locks
	// make the two wait for each other.
	_ = h.acquire(ctx, h.flow.cfg.LockBudget)
}

// release gives the goods back, before the batch's goods are free for the
// next batch of this process: the other way round that batch would meet its
// own process's lock and poll for it. What Redis answers changes nothing for
// the orders; a lock that cannot be released expires.
func (h *hold) release(ctx context.Context) {
	if h.lease == nil {
		return
	}
	f, lease := h.flow, h.lease
	h.lease = nil
	f.deps.Observer.LockHeld(time.Since(h.since))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
	defer cancel()
	err := lease.Unlock(ctx)
	if err != nil {
		f.deps.Observer.LockFailed("unlock")
	}
}

// lockGate keeps a lock that does not answer from being asked every time.
type lockGate struct {
	now   func() time.Time
	mu    sync.Mutex
	until time.Time
}

func (g *lockGate) open(required bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return required || !g.now().Before(g.until)
}

func (g *lockGate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until = g.now().Add(gateShut)
}
