package order

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errDrained ends a worker: the intake is closed and nothing waits any more.
var errDrained = errors.New("scheduler drained")

// SchedulerConfig bounds what waits and what is taken at once.
type SchedulerConfig struct {
	// MaxBatch is the most orders in one transaction. Raising it lowers the
	// cost of an order and lengthens the time the goods stay locked.
	MaxBatch int
	// MaxBatchLines is the most lines in one transaction, so that a batch of
	// large orders is no longer than one of small ones.
	MaxBatchLines int
	// MaxBatchBytes is the most bytes of messages in one transaction; zero is no
	// bound. With it all that workers have in their hands is bounded, as what waits is.
	// One message always fits, however large.
	MaxBatchBytes int
	// LookAhead is how many waiting messages are considered for one batch. It
	// bounds the time a worker spends choosing.
	LookAhead int
	// MaxWaiting and MaxWaitingBytes bound the messages that were read and not
	// yet taken; beyond either, readers wait.
	MaxWaiting      int
	MaxWaitingBytes int
	// ClaimAfter bounds overtaking: a message that has waited this long keeps
	// its goods from every message behind it.
	ClaimAfter time.Duration
	// GatherFor is how long less than half a batch waits for more while another worker
	// is at work; zero: not at all. Longer than a transaction as a rule takes it makes
	// batches of what comes during one, and no longer than that need anybody be held up
	// by a worker that waits for another instance's goods.
	GatherFor time.Duration
}

// scheduler holds the messages that wait and forms batches whose goods no
// other batch has that is still to lock them. It is a monitor: mu guards every
// field, and the two conditions say what its callers wait for.
//
// Goods are busy until they are locked against other instances, order ids until
// the outcome is published. The second is what keeps one order's events in order:
// a cancel that could overtake the publication of its create's outcome would
// let the shop read released before deducted.
type scheduler struct {
	cfg SchedulerConfig
	now func() time.Time

	mu      sync.Mutex
	room    *sync.Cond // a place for one more waiting message, or closed
	work    *sync.Cond // something may be takeable, or closed
	waiting []*task    // in the order they were submitted
	bytes   int        // of waiting
	goods   map[string]*batch
	orders  map[string]struct{}
	flying  int  // batches that hold goods
	working int  // batches that workers have in their hands
	closed  bool // no more submits

	// The first blocked of waiting could not be taken by the last walk, and
	// stay so until a key is freed; claims are what they keep from those
	// behind. Without this, every submit would make an idle worker walk the
	// whole queue again.
	blocked int
	claims  claims
}

// batch is what one worker takes: tasks whose goods it alone has until freeGoods.
type batch struct {
	tasks []*task
	goods []string // each once, in the order first met
	lines int
	bytes int
}

func newScheduler(cfg SchedulerConfig, now func() time.Time) *scheduler {
	s := &scheduler{
		cfg:    cfg,
		now:    now,
		goods:  make(map[string]*batch),
		orders: make(map[string]struct{}),
	}
	s.room = sync.NewCond(&s.mu)
	s.work = sync.NewCond(&s.mu)
	return s
}

// submit hands a task over. It waits while too much is waiting already, and
// gives up when ctx ends.
func (s *scheduler) submit(ctx context.Context, t *task) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.full(t) && !s.closed && ctx.Err() == nil {
		s.await(ctx, s.room)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed {
		return errDrained
	}
	s.waiting = append(s.waiting, t)
	s.bytes += t.bytes
	s.work.Signal()
	return nil
}

// full reports whether t has to wait. One message always fits, however large.
func (s *scheduler) full(t *task) bool {
	return len(s.waiting) >= s.cfg.MaxWaiting ||
		len(s.waiting) > 0 && s.bytes+t.bytes > s.cfg.MaxWaitingBytes
}

// await waits on c until it is signalled or ctx ends.
func (s *scheduler) await(ctx context.Context, c *sync.Cond) {
	stop := context.AfterFunc(ctx, func() {
		// Taking the mutex closes the gap between the caller's check of ctx
		// and its Wait: without it the broadcast could fall in between and
		// be missed for ever.
		s.mu.Lock()
		defer s.mu.Unlock()
		c.Broadcast()
	})
	defer stop()
	c.Wait()
}

// next takes the next batch. It waits while nothing can be taken, and returns
// errDrained once the intake is closed and everything has been taken.
func (s *scheduler) next(ctx context.Context) (*batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rest := s.gathering()
		if rest == 0 {
			if b := s.form(); b != nil {
				return b, nil
			}
		}
		if s.closed && len(s.waiting) == 0 {
			s.work.Broadcast()
			return nil, errDrained
		}
		s.awaitWork(ctx, rest)
	}
}

// tryNext takes the next batch if there is one to be taken now; nil is none.
func (s *scheduler) tryNext() *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gathering() > 0 {
		return nil
	}
	return s.form()
}

// form takes what can be taken now; nil is nothing.
func (s *scheduler) form() *batch {
	b := &batch{}
	s.fill(b, false)
	if len(b.tasks) == 0 {
		return nil
	}
	s.flying++
	s.working++
	return b
}

// topUp adds waiting orders whose goods the batch holds already. It is worth
// calling when the batch had to wait for its lock.
func (s *scheduler) topUp(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fill(b, true)
}

// fill walks the queue and moves what can join into b. With heldOnly no goods
// may be added to the batch, and the walk starts at the head, because what is
// blocked for others may be free for b.
func (s *scheduler) fill(b *batch, heldOnly bool) {
	if heldOnly {
		s.unblock()
	}
	var (
		overdue = s.now().Add(-s.cfg.ClaimAfter)
		limit   = min(len(s.waiting), s.cfg.LookAhead)
		at      = min(s.blocked, limit)
		start   = at
	)
	for at < limit && len(b.tasks) < s.cfg.MaxBatch && b.lines < s.cfg.MaxBatchLines {
		t := s.waiting[at]
		if s.heavy(b, t) {
			break
		}
		at++
		if t.taken = s.joins(b, t, heldOnly); t.taken {
			s.take(b, t)
			continue
		}
		s.claims.order(t)
		if t.since.Before(overdue) {
			s.claims.goodsOf(t)
		}
	}
	if !heldOnly && s.leftovers(b, at) {
		s.putBack(b)
		s.blocked = at
		return
	}
	s.compact(start, at)
	if heldOnly {
		s.unblock()
	} else if s.blocked < len(s.waiting) && len(b.tasks) > 0 {
		s.work.Signal() // what was not reached may be takeable by another worker
	}
}

// heavy reports whether t is too large for what the batch holds already.
func (s *scheduler) heavy(b *batch, t *task) bool {
	return s.cfg.MaxBatchBytes > 0 && len(b.tasks) > 0 && b.bytes+t.bytes > s.cfg.MaxBatchBytes
}

// leftoverShare is how many messages must be blocked for each that could be
// taken before a batch counts as leftovers.
const leftoverShare = 8

// leftovers reports whether b is only what other batches in flight have left
// over of a long queue. A transaction of a few orders costs the database nearly
// as much as one of many, so the worker waits until goods are free again; that
// moment comes, because a batch that holds them is in flight.
func (s *scheduler) leftovers(b *batch, walked int) bool {
	return s.flying > 0 && len(b.tasks)*leftoverShare < walked && len(b.tasks)*leftoverShare < s.cfg.MaxBatch
}

// putBack undoes a batch that was not worth taking. Its tasks have not been
// moved yet.
func (s *scheduler) putBack(b *batch) {
	s.releaseGoods(b)
	for _, t := range b.tasks {
		t.taken = false
		s.bytes += t.bytes
		if t.fault == nil {
			delete(s.orders, t.event.OrderID)
			// The next walk begins behind it: without the claim a cancel that comes
			// meanwhile would be taken before this create.
			s.claims.order(t)
		}
	}
	*b = batch{}
}

// compact removes the taken tasks from the part [from, to) of the queue that
// was walked. What is left of it is blocked.
func (s *scheduler) compact(from, to int) {
	kept := s.waiting[:from]
	for _, t := range s.waiting[from:to] {
		if !t.taken {
			kept = append(kept, t)
		}
	}
	s.blocked = len(kept)
	if len(kept) == to {
		return
	}
	kept = append(kept, s.waiting[to:]...)
	clear(s.waiting[len(kept):])
	s.waiting = kept
	s.room.Broadcast()
}

// unblock makes the next walk start at the head of the queue.
func (s *scheduler) unblock() {
	s.blocked = 0
	s.claims = claims{}
}

// joins reports whether none of the task's keys is busy or claimed.
func (s *scheduler) joins(b *batch, t *task, heldOnly bool) bool {
	if t.fault != nil {
		return true // touches no stock, waits for nobody
	}
	if _, busy := s.orders[t.event.OrderID]; busy || s.claims.hasOrder(t.event.OrderID) {
		return false
	}
	for i := range t.event.Lines {
		goods := t.event.Lines[i].Goods
		owner := s.goods[goods]
		if owner != b && (owner != nil || heldOnly) || s.claims.hasGoods(goods) {
			return false
		}
	}
	return true
}

func (s *scheduler) take(b *batch, t *task) {
	s.bytes -= t.bytes
	b.bytes += t.bytes
	b.tasks = append(b.tasks, t)
	if t.fault != nil {
		return
	}
	b.lines += max(len(t.event.Lines), 1)
	s.orders[t.event.OrderID] = struct{}{}
	for i := range t.event.Lines {
		goods := t.event.Lines[i].Goods
		if s.goods[goods] == nil {
			s.goods[goods] = b
			b.goods = append(b.goods, goods)
		}
	}
}

// freeGoods lets other batches have the goods too: they are locked against other
// instances, and the database's row locks do the rest.
func (s *scheduler) freeGoods(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseGoods(b)
	s.flying--
	s.unblock()
	s.work.Broadcast()
}

func (s *scheduler) releaseGoods(b *batch) {
	for _, goods := range b.goods {
		if s.goods[goods] == b {
			delete(s.goods, goods)
		}
	}
}

// finish gives the batch's order ids back: its outcomes are published.
func (s *scheduler) finish(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	awaited := false
	for _, t := range b.tasks {
		if t.fault == nil {
			delete(s.orders, t.event.OrderID)
			awaited = awaited || s.claims.hasOrder(t.event.OrderID)
		}
	}
	// Every blocked event has claimed its order id, so when none of these is
	// claimed nothing has become takeable, and the queue is not walked again.
	if awaited {
		s.unblock()
	}
	s.work.Broadcast()
}

// close ends the intake. What waits is still handed out.
func (s *scheduler) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.work.Broadcast()
	s.room.Broadcast()
}

// discard drops what waits. Nobody is told: the events are not settled, and
// whoever reads their partitions next gets them again.
func (s *scheduler) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.waiting)
	s.waiting, s.bytes = s.waiting[:0], 0
	s.unblock()
	s.work.Broadcast()
}
