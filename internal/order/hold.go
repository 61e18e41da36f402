package order

import (
	"context"
	"errors"
	"fmt"
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

	// keepMost is how long goods may stay locked over several batches while
	// there is work for them. Locking anew costs a round trip to Redis for each
	// batch, in which the database stands idle; other instances wait this long
	// for the goods at the most.
	keepMost = 200 * time.Millisecond

	// keepLeases bounds the leases that goods kept over batches come to. Each
	// batch that needs goods not held yet adds one.
	keepLeases = 8

	// yieldFor is left to other instances after goods have been given back that
	// somebody else was seen to want. It is longer than the pause between two
	// looks of a waiting instance; without it this one would have its goods back
	// before anybody has looked.
	yieldFor = 8 * time.Millisecond

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

// hold is a claim on goods against other instances: a batch's, or several
// batches' of one worker in a row. A hold without a lease is valid too: the
// lock is off, not needed, or down.
type hold struct {
	flow   *Flow
	goods  []string // of the batch under way
	leases []Lease
	held   map[string]struct{} // goods of the leases
	since  time.Time           // of the first lease
	lost   int                 // how often the batch under way lost a lease
	wanted bool                // somebody else was in the way of the first lease

	suspended bool // the leases were given back because the work stands still
}

// hold locks the goods of the batch, all of them. Tasks whose goods somebody
// else holds beyond the budget are answered with that failure; the others go
// on without them.
func (f *Flow) hold(ctx context.Context, h *hold, b *batch) {
	h.goods, h.lost = b.goods, 0
	begin := time.Now()
	if h.covers(ctx) {
		f.deps.Observer.LockWaited(time.Since(begin))
		return
	}
	h.release(ctx)
	for len(h.goods) > 0 {
		err := h.acquire(ctx, max(f.cfg.LockBudget-time.Since(begin), lockAfterBudget))
		var locked *GoodsLockedError
		if !errors.As(err, &locked) {
			break
		}
		f.deps.Observer.LockFailed("timeout")
		if f.calm.Err() != nil {
			abandon(b.tasks)
			return
		}
		h.goods = f.refuse(b.tasks, locked)
	}
	waited := time.Since(begin)
	h.wanted = waited > topUpWait
	if len(h.leases) > 0 && h.wanted && len(h.goods) == len(b.goods) {
		f.sched.topUp(b)
	}
	f.deps.Observer.LockWaited(waited)
}

// covers reports whether the leases of earlier batches cover the goods, after
// locking what is missing if that takes no waiting. Waiting for some goods
// while holding others could be a deadlock with another instance, so whoever
// calls gives everything back when this fails.
func (h *hold) covers(ctx context.Context) bool {
	if len(h.leases) == 0 || len(h.leases) >= keepLeases || h.anyLost() {
		return false
	}
	var missing []string
	for _, id := range h.goods {
		if _, held := h.held[id]; !held {
			missing = append(missing, id)
		}
	}
	return len(missing) == 0 || h.lock(ctx, missing, lockAfterBudget) == nil
}

// keep leaves the goods locked for the next batch of the same worker, unless
// they have been for too long. Workers of one process do not know of each
// other's leases and would wait for them, so only a worker alone keeps any.
func (h *hold) keep(ctx context.Context) {
	if h.flow.cfg.Workers > 1 || time.Since(h.since) >= keepMost || h.anyLost() {
		h.release(ctx)
	}
}

// abandon leaves the tasks to whoever reads them next.
func abandon(tasks []*task) {
	for _, t := range tasks {
		t.failure = context.Canceled
	}
}

// refuse answers the tasks that want the locked goods with a retry and returns
// the goods that are still to be locked: all but those. A task that has been
// through all tiers stays and does without the lock of those goods: the row
// locks guard them too, and no order is given up because of a lock.
func (f *Flow) refuse(tasks []*task, locked *GoodsLockedError) []string {
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

// acquire takes a lease on the goods within budget. It returns nil without one
// when the lock is off or down and not required, and when ctx ends (the
// transaction then finds out).
func (h *hold) acquire(ctx context.Context, budget time.Duration) error {
	f := h.flow
	for n := 1; f.deps.Locker != nil && f.gate.open(f.cfg.LockRequired); n++ {
		err := h.lock(ctx, h.goods, budget)
		if err == nil {
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

// lock adds a lease on the goods.
func (h *hold) lock(ctx context.Context, goods []string, budget time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	defer context.AfterFunc(h.flow.calm, cancel)()
	lease, err := h.flow.deps.Locker.Lock(ctx, goods)
	if err != nil && h.flow.calm.Err() != nil {
		return &GoodsLockedError{Goods: goods[0]} // not waited for any longer
	}
	if err != nil {
		return err
	}
	h.flow.deps.Crash.At(crash.AfterLock)
	if len(h.leases) == 0 {
		h.since, h.held = time.Now(), make(map[string]struct{}, len(goods))
	}
	h.leases = append(h.leases, lease)
	for _, id := range goods {
		h.held[id] = struct{}{}
	}
	return nil
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

func (h *hold) anyLost() bool {
	for _, lease := range h.leases {
		select {
		case <-lease.Lost():
			return true
		default:
		}
	}
	return false
}

// suspend gives the goods back while the work stands still. A lease that is
// extended all through an outage would make other instances send their orders
// for these goods to the retry tiers, and in the end to the dead letters.
func (h *hold) suspend(ctx context.Context) {
	h.suspended = h.suspended || len(h.leases) > 0
	h.release(ctx)
}

// renew takes a new lease when an old one is lost or was given back.
func (h *hold) renew(ctx context.Context) {
	if h.suspended {
		h.suspended = false
		_ = h.acquire(ctx, h.flow.cfg.LockBudget) // see below
		return
	}
	if !h.anyLost() {
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

// release gives the goods back, and leaves those a moment to others that
// somebody else wanted. What Redis answers changes nothing for the orders; a
// lock that cannot be released expires.
func (h *hold) release(ctx context.Context) {
	if len(h.leases) == 0 {
		return
	}
	f := h.flow
	f.deps.Observer.LockHeld(time.Since(h.since))
	unlocking, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
	defer cancel()
	for _, lease := range h.leases {
		err := lease.Unlock(unlocking)
		if err != nil {
			f.deps.Observer.LockFailed("unlock")
		}
	}
	h.leases, h.held = nil, nil
	if h.wanted {
		h.wanted = false
		_ = pause(ctx, yieldFor) // an end of ctx is noticed by whoever goes on
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
