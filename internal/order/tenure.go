package order

import (
	"context"
	"sync"
	"time"
)

const (
	// keepShared is how long goods may stay locked over several batches while there
	// is work for them and somebody else has wanted some of them lately. At the end
	// of it the database stands idle until the next batch has locked them anew and
	// looked up its known orders.
	keepShared = 200 * time.Millisecond

	// keepFirst is the same while nobody else has been in the way, and keepAlone from
	// the second such tenure on. It is how long another instance has to wait at the most
	// when it comes, besides the batches then in flight: often that is just after a
	// rebalance, when every flow is at its first tenure. What the longer one saves is the
	// end, at which the database stands idle: 3 % of the orders, measured in turn.
	keepFirst = time.Second
	keepAlone = 2500 * time.Millisecond

	// keepShare is the part of the lock budget that goods may be kept for: others
	// are to get them long before they send their orders to a retry tier.
	keepShare = 4

	// aloneAfter is how long nobody must have been in the way.
	aloneAfter = 5 * time.Second

	// keepLeases bounds the leases that goods kept over batches come to. Each
	// batch that needs goods not held yet adds one, so it has to be as many as the
	// batches that are got through in keepAlone.
	keepLeases = 80

	// yieldFor is left to other instances after goods have been given back that
	// somebody else was seen to want, before this one locks any. It is longer than
	// the pause between two looks of a waiting instance; without it this one would
	// have its goods back before anybody has looked.
	yieldFor = 8 * time.Millisecond

	// yieldEvery is how often goods that were kept for as long as they may be are
	// left to others although nobody was seen to want them: who has never waited does
	// not know who does.
	yieldEvery = time.Second

	// unlockTimeout bounds the release of a lock, which no cancellation
	// reaches: an unreleased lock makes everybody wait for its expiry.
	unlockTimeout = time.Second
)

// tenure is goods that this instance keeps from the others: for several batches
// in a row, and for those in flight together. Among the batches of one instance
// the ledger decides who comes first, and at last the database's row locks; one that
// waits for another's levels has most of its writing done by then.
type tenure struct {
	since  time.Time     // of the first lease
	keep   time.Duration // from since on
	wanted bool          // somebody else was in the way of the first lease
	ended  chan struct{} // closed when the goods have been given back

	// Guarded by tenures.mu.
	leases []Lease
	held   map[string]struct{} // goods of the leases
	users  int                 // batches in flight
	closed bool                // takes no more of them; the last one gives the goods back
}

// tenures is the tenure of a flow's workers and the way into it.
type tenures struct {
	// door is full while one batch joins or waits for goods. It holds none
	// meanwhile: waiting for some goods while holding others could be a deadlock
	// with another instance.
	door chan struct{}
	most time.Duration // a tenure lasts, whatever the reason

	elsewhere heldElsewhere // guarded by the door

	mu      sync.Mutex
	current *tenure   // nil: nothing is locked
	yielded time.Time // when goods were last left to others
	crossed time.Time // when somebody else was last in the way
	alone   bool      // nobody was, for the whole of the tenure before
}

func newTenures(budget time.Duration) tenures {
	return tenures{door: make(chan struct{}, 1), most: budget / keepShare, elsewhere: make(heldElsewhere)}
}

// takeDoor waits for the door, and reports false if ctx ends first.
func (s *tenures) takeDoor(ctx context.Context) bool {
	select {
	case s.door <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// leaveDoor lets the next batch have the door.
func (s *tenures) leaveDoor() { <-s.door }

// begin makes a tenure of the first lease, with one batch in it.
func (s *tenures) begin(lease Lease, goods []string) *tenure {
	now := time.Now()
	t := &tenure{since: now, keep: keepShared, ended: make(chan struct{}), held: make(map[string]struct{}, len(goods)), users: 1}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.crossed) >= aloneAfter {
		t.keep = keepFirst
		if s.alone {
			t.keep = keepAlone
		}
	}
	t.keep = min(t.keep, s.most)
	t.add(lease, goods)
	s.current = t
	return t
}

func (t *tenure) add(lease Lease, goods []string) {
	t.leases = append(t.leases, lease)
	for _, id := range goods {
		t.held[id] = struct{}{}
	}
}

// enter makes the batch a user of the current tenure and says which of its goods
// are not locked yet. joined is false when the tenure takes no more batches.
func (s *tenures) enter(goods []string) (t *tenure, joined bool, missing []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t = s.current
	if t == nil || t.closed || t.over() {
		return t, false, nil
	}
	for _, id := range goods {
		if _, held := t.held[id]; !held {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 && len(t.leases) >= keepLeases {
		return t, false, nil
	}
	t.users++
	return t, true, missing
}

// meet notes that somebody else was in the way.
func (s *tenures) meet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crossed = time.Now()
	s.alone = false
}

// over reports that the goods have been kept for long enough, or were lost.
// tenures.mu is held.
func (t *tenure) over() bool { return time.Since(t.since) >= t.keep || anyLost(t.leases) }

// leave takes a batch out of a tenure if it had joined. The tenure takes no more batches from
// now on if closing is set or it is over. last tells the caller to give its goods
// back: nobody else will.
func (s *tenures) leave(t *tenure, joined, closing bool) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.closed && t.users == 0 {
		return false // somebody is at it
	}
	if joined {
		t.users--
	}
	t.closed = t.closed || closing || t.over()
	return t.closed && t.users == 0
}

// unused closes the current tenure if no batch uses it and returns it; nil is
// none.
func (s *tenures) unused() *tenure {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.current
	if t == nil || t.closed || t.users > 0 {
		return nil
	}
	t.closed = true
	return t
}

// end opens the way for the next tenure, which leaves the goods to others for a
// moment if they want them or may want them.
func (s *tenures) end(t *tenure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	kept := now.Sub(t.since) >= t.keep || len(t.leases) >= keepLeases
	due := kept && now.Sub(s.yielded) >= yieldEvery
	if t.wanted || due {
		s.yielded = now
	}
	s.alone = kept && now.Sub(s.crossed) >= aloneAfter
	s.current = nil
	close(t.ended)
}

// yield waits for as long as the goods that were given back are left to others.
func (s *tenures) yield(ctx context.Context) {
	s.mu.Lock()
	left := time.Until(s.yielded.Add(yieldFor))
	s.mu.Unlock()
	if left > 0 {
		_ = pause(ctx, left) // an end of ctx is noticed by whoever goes on
	}
}

// join makes the batch one of those that use the current tenure, after locking
// what is missing of its goods if that takes hardly any waiting. Where that is not
// to be had it waits for the end of the tenure, for which nobody needs the door
// that it holds, and reports false: there is no tenure then, unless ctx has ended.
func (h *hold) join(ctx context.Context) bool {
	f := h.flow
	t, joined, missing := f.tenures.enter(h.goods)
	if t == nil {
		return false
	}
	in := joined
	if in && len(missing) > 0 {
		lease, err := h.lock(ctx, missing, lockAfterBudget)
		in = err == nil
		if in {
			f.tenures.mu.Lock()
			t.add(lease, missing)
			f.tenures.mu.Unlock()
			f.tenures.elsewhere.forget(missing)
		}
	}
	if in {
		h.use(t)
		return true
	}
	f.leaveTenure(ctx, t, joined, true)
	select {
	case <-t.ended:
	case <-ctx.Done():
	}
	return false
}

// leaveTenure takes a batch out of a tenure if it had joined, and gives the goods back if it
// was the last.
func (f *Flow) leaveTenure(ctx context.Context, t *tenure, joined, closing bool) {
	if f.tenures.leave(t, joined, closing) {
		f.giveBack(ctx, t)
	}
}

// idle gives the goods back when no batch uses them. A worker calls it before
// anything that may last and needs none: they stay locked from one batch to the
// next, but never without need.
func (f *Flow) idle(ctx context.Context) {
	if t := f.tenures.unused(); t != nil {
		f.giveBack(ctx, t)
	}
}

// giveBack unlocks the goods of a tenure, beside whatever the caller does next:
// outcomes need not wait for Redis. Whoever wants goods waits for the end of the
// tenure. What Redis answers changes nothing for the orders; a lock that cannot be
// released expires.
func (f *Flow) giveBack(ctx context.Context, t *tenure) {
	f.deps.Observer.LockHeld(time.Since(t.since))
	f.unlocking.Go(func() {
		defer f.tenures.end(t)
		var unlocked sync.WaitGroup
		for _, lease := range t.leases {
			unlocked.Go(func() { f.unlock(ctx, lease) })
		}
		unlocked.Wait()
	})
}

// unlock gives the goods of one lease back, whatever ctx says.
func (f *Flow) unlock(ctx context.Context, lease Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
	defer cancel()
	err := lease.Unlock(ctx)
	if err != nil {
		f.deps.Observer.LockFailed(LockUnlock)
	}
}

func anyLost(leases []Lease) bool {
	for _, lease := range leases {
		select {
		case <-lease.Lost():
			return true
		default:
		}
	}
	return false
}
