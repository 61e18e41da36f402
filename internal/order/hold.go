package order

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"orderconsumer/internal/crash"
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

// hold is a batch's claim on its goods against other instances. One without a
// tenure is valid too: the lock is off, not needed, or down.
type hold struct {
	flow      *Flow
	goods     []string
	tenure    *tenure
	leases    []Lease // of the tenure, as far as they are the batch's concern
	lost      int     // how often a lease was lost
	suspended bool    // the goods were given back because the work stands still
}

// hold locks the goods of the batch, all of them. Tasks whose goods somebody
// else holds beyond the budget are answered with that failure; the others go
// on without them.
func (f *Flow) hold(ctx context.Context, b *batch) *hold {
	h := &hold{flow: f, goods: b.goods}
	if f.deps.Locker == nil {
		return h
	}
	if len(h.goods) == 0 { // cancels may name none
		f.idle(ctx)
		return h
	}
	begin := time.Now()
	if !f.tenures.takeDoor(ctx) {
		return h // the transaction finds out that it is told to stop
	}
	defer f.tenures.leaveDoor()
	refused := make(refusedGoods)
	h.avoid(ctx, b, refused)
	if !h.join(ctx) && ctx.Err() == nil {
		h.claim(ctx, b, refused)
	}
	waited := time.Since(begin)
	if h.tenure != nil && waited > topUpWait && len(h.goods) == len(b.goods) {
		f.sched.topUp(b)
	}
	f.deps.Observer.LockWaited(waited)
	return h
}

// claim begins a tenure with as many of the batch's goods as can be had within
// the budget, in which the wait for other batches of this instance does not count.
// The door is held, and there is no tenure.
func (h *hold) claim(ctx context.Context, b *batch, refused refusedGoods) {
	f := h.flow
	begin, crossed := time.Now(), false
	for len(h.goods) > 0 {
		err := h.acquire(ctx, max(f.cfg.LockBudget-time.Since(begin), lockAfterBudget))
		var locked *GoodsLockedError
		if !errors.As(err, &locked) {
			break
		}
		if f.hurried.Err() != nil { // the wait was cut short, and says nothing about the goods
			abandon(b.tasks)
			return
		}
		f.deps.Observer.LockFailed(LockTimeout)
		if !crossed { // after the whole budget, and not only the look that others get
			f.tenures.elsewhere.note(locked.Goods)
		}
		crossed = true
		h.goods = refused.add(f, b.tasks, locked)
	}
	if h.tenure != nil && crossed {
		h.tenure.wanted = true
	}
}

// use makes the batch one of the tenure's. It is counted already.
func (h *hold) use(t *tenure) {
	h.flow.tenures.mu.Lock()
	defer h.flow.tenures.mu.Unlock()
	h.tenure, h.leases = t, t.leases
}

// leave ends the claim. The goods stay locked for other batches of this instance,
// unless they have been for too long.
func (h *hold) leave(ctx context.Context, closing bool) {
	if t := h.tenure; t != nil {
		h.tenure, h.leases = nil, nil
		h.flow.leaveTenure(ctx, t, true, closing)
	}
}

// abandon leaves the tasks to whoever reads them next.
func abandon(tasks []*task) {
	for _, t := range tasks {
		t.failure = context.Canceled
	}
}

// refusedGoods are the goods that a batch does without: somebody else held them
// for too long.
type refusedGoods map[string]struct{}

// add refuses the locked goods, too: it answers the tasks that want them with a
// retry and returns the goods that are still to be locked. A task that has been
// through all tiers stays and does without the lock of those goods: the row locks
// guard them too, and no order is given up because of a lock. Such a task is why
// all goods refused so far are left out and not only these: it still wants them.
func (r refusedGoods) add(f *Flow, tasks []*task, locked *GoodsLockedError) []string {
	r[locked.Goods] = struct{}{}
	left := make(map[string]struct{})
	for _, t := range tasks {
		_, again := f.cfg.Topics.Next(t.delivery.Attempt)
		if again && t.failure == nil && wants(t, locked.Goods) {
			t.failure = locked
		}
		if t.failure == nil {
			for i := range t.event.Lines {
				left[t.event.Lines[i].Goods] = struct{}{}
			}
		}
	}
	for id := range r {
		delete(left, id)
	}
	return slices.Sorted(maps.Keys(left))
}

func wants(t *task, goods string) bool {
	for i := range t.event.Lines {
		if t.event.Lines[i].Goods == goods {
			return true
		}
	}
	return false
}

// acquire begins a tenure of the goods within budget. It returns nil without one
// when the lock is down and not required, and when ctx ends (the transaction then
// finds out). The door is held, and there is no tenure.
func (h *hold) acquire(ctx context.Context, budget time.Duration) error {
	f := h.flow
	f.tenures.yield(ctx)
	for n := 1; f.gate.isOpen(f.cfg.LockRequired); n++ {
		lease, err := h.lock(ctx, h.goods, budget)
		if err == nil {
			h.use(f.tenures.begin(lease, h.goods))
			f.tenures.elsewhere.forget(h.goods)
			h.tenure.wanted = lease.Waited()
			f.pauses.lift(DependencyRedis)
			return nil
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop: the transaction reports it
		}
		if errors.Is(err, ErrGoodsLocked) {
			return err
		}
		f.deps.Observer.LockFailed(LockRedisDown)
		if !f.cfg.LockRequired {
			f.gate.close()
			return nil
		}
		f.pauses.on(DependencyRedis, err)
		err = rest(ctx, n)
		if err != nil {
			return nil //nolint:nilerr // told to stop: the transaction reports it
		}
	}
	return nil
}

// lock waits for a lease on the goods, no longer than budget.
func (h *hold) lock(ctx context.Context, goods []string, budget time.Duration) (Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	defer context.AfterFunc(h.flow.hurried, cancel)()
	lease, err := h.flow.deps.Locker.Lock(ctx, goods)
	if errors.Is(err, ErrGoodsLocked) || err == nil && lease.Waited() {
		h.flow.tenures.meet()
	}
	if err != nil && h.flow.hurried.Err() != nil {
		return nil, &GoodsLockedError{Goods: goods[0]} // not waited for any longer
	}
	if err != nil {
		return nil, err
	}
	h.flow.deps.Crash.At(crash.AfterLock)
	return lease, nil
}

// watch returns a context that is cancelled with ErrLockLost when a lease is
// lost, unless the batch has lost too many already.
func (h *hold) watch(ctx context.Context) (_ context.Context, unwatch func()) {
	if len(h.leases) == 0 || h.lost >= lostMost {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var done sync.WaitGroup
	stop := make(chan struct{})
	for _, lease := range h.leases {
		done.Go(func() {
			select {
			case <-lease.Lost():
				cancel(ErrLockLost)
			case <-stop:
			}
		})
	}
	return ctx, func() {
		close(stop)
		done.Wait()
		cancel(nil)
	}
}

// suspend gives the goods back while the work stands still. A lease that is
// extended all through an outage would make other instances send their orders
// for these goods to the retry tiers, and in the end to the dead letters.
func (h *hold) suspend(ctx context.Context) {
	h.suspended = h.suspended || h.tenure != nil
	h.leave(ctx, true)
}

// renew takes a new lease when an old one is lost or was given back.
func (h *hold) renew(ctx context.Context) {
	switch {
	case h.suspended:
		h.suspended = false
	case anyLost(h.leases):
		h.lost++
		h.flow.deps.Observer.LockFailed(LockWasLost)
		h.leave(ctx, true)
	default:
		return
	}
	if !h.flow.tenures.takeDoor(ctx) {
		return
	}
	defer h.flow.tenures.leaveDoor()
	if !h.join(ctx) && ctx.Err() == nil {
		// An error means that somebody else holds the goods now. The batch goes
		// on without a lease: it has been decided to be run, and the row locks
		// make the two wait for each other.
		_ = h.acquire(ctx, h.flow.cfg.LockBudget)
	}
}

// lockGate keeps a lock that does not answer from being asked every time.
type lockGate struct {
	mu    sync.Mutex
	until time.Time
}

// isOpen reports whether the lock may be asked; where it is required, always.
func (g *lockGate) isOpen(required bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return required || !time.Now().Before(g.until)
}

// close keeps the lock from being asked for gateShut.
func (g *lockGate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until = time.Now().Add(gateShut)
}
