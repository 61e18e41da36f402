// Package order says what becomes of an order event: how it is read, when it
// is worked on, with what it is worked on together, and which end it finds.
// It knows no Kafka, no SQL and no Redis; they are behind the interfaces that
// this package declares.
//
// An event goes event (decode.go), schedule (scheduler.go), lock (hold.go),
// ledger (worker.go), outcome (settle.go), offset (Marker). The effects have
// one order: the database commits, then the outcome is published, then the
// event is done, then its offset may be committed. Any two swapped, a crash
// between them loses an order or an outcome; in this order a crash anywhere
// makes the event come again, and the ledger knows it already.
package order

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/stock"
)

// Ledger is where stock is deducted.
type Ledger interface {
	// Apply decides requests in the order given and makes their changes in one
	// transaction: all of them, or none when it returns an error. Errors are
	// wrapped in the sentinels of package stock as far as anything is known.
	Apply(ctx context.Context, requests []stock.Request) ([]stock.Decision, error)
}

// Locker keeps other instances away from goods. It saves work; it is not
// what makes the stock right.
type Locker interface {
	// Lock waits until all goods are free and takes them all, until ctx ends.
	// Errors wrap ErrGoodsLocked (as a *GoodsLockedError) or
	// ErrLockUnavailable.
	Lock(ctx context.Context, goods []string) (Lease, error)
}

// Lease is goods that were locked.
type Lease interface {
	// Waited reports that somebody else held some of the goods and was waited for.
	Waited() bool
	// Lost is closed when the goods are no longer ours.
	Lost() <-chan struct{}
	// Unlock gives the goods back.
	Unlock(ctx context.Context) error
}

// Publisher appends messages to the log.
type Publisher interface {
	// Publish returns when every message is confirmed by the log, or with an
	// error and the messages that are not. An unconfirmed message may have
	// been appended all the same.
	Publish(ctx context.Context, messages []Message) (unconfirmed []Message, err error)
}

// ErrPublish wraps the error of a publication that was not confirmed.
var ErrPublish = errors.New("publication not confirmed")

// ErrTooManyDead stops the flow: so many of the newest events would be
// dead-lettered that something is wrong with the program or its surroundings
// and not with the events.
var ErrTooManyDead = errors.New("too many dead letters")

// FlowConfig says how a flow works. Every duration and bound but Horizon is positive.
type FlowConfig struct {
	Topics Topics
	// Group is the consumer group, named in retries and dead letters.
	Group string
	// Workers is the number of transactions at a time. Those of the same goods
	// wait for each other in the ledger, with most of the work done: the others
	// use the time in which one is locked, sent and flushed. More than three help
	// where the database is far away.
	Workers   int
	Scheduler SchedulerConfig
	// LockBudget is how long a batch waits for goods that another instance
	// holds before its orders go to a retry tier.
	LockBudget time.Duration
	// LockRequired makes work wait for Redis. Without it, work goes on under
	// the database's own row locks while Redis is down.
	LockRequired bool
	// TransactionTimeout ends a transaction that hangs.
	TransactionTimeout time.Duration
	// Horizon is how old an event may be; an older one is a dead letter. Zero:
	// any age, the ledger remembers every order.
	Horizon time.Duration
}

// FlowDeps is what a flow works with.
type FlowDeps struct {
	Ledger    Ledger
	Locker    Locker // nil: no lock, the database's row locks alone
	Publisher Publisher
	Observer  Observer
	// Breaker stops the flow at too many dead letters; it is shared by all flows of an
	// instance, one after the other. Nil: nothing stops it.
	Breaker *Breaker
	// Now is the wall clock, which may jump: ages of events and times in messages
	// come from it. What lasts is measured by the monotonic clock.
	Now   func() time.Time
	Crash crash.Hook // nil: nobody wants a crash
}

// Flow takes events in and settles each of them exactly once, or leaves it
// unsettled when it is told to stop working. A flow lives as long as its
// partitions are assigned; it is not used again.
type Flow struct {
	cfg       FlowConfig
	deps      FlowDeps
	sched     *scheduler
	settling  chan *batch // from workers to settlers
	pauses    pauses
	hurried   context.Context //nolint:containedctx // ends when a drain has taken long enough: no batch waits for goods from then on
	hurry     context.CancelFunc
	gate      lockGate
	tenures   tenures
	unlocking sync.WaitGroup // tenures that are being given back
	busy      atomic.Int32   // workers that hold a batch
	inFlight  atomic.Int64   // events submitted and not yet settled
	usable    atomic.Int64   // those of them that can be used
	doubts    atomic.Int32   // tasks of which a COMMIT was never answered
}

// NewFlow returns a flow that takes events once Run is called.
func NewFlow(cfg FlowConfig, deps FlowDeps) *Flow {
	hurried, hurry := context.WithCancel(context.Background())
	return &Flow{
		hurried:  hurried,
		hurry:    hurry,
		cfg:      cfg,
		deps:     deps,
		sched:    newScheduler(cfg.Scheduler, time.Now),
		settling: make(chan *batch),
		pauses:   pauses{observer: deps.Observer, down: make(map[string]bool)},
		tenures:  newTenures(cfg.LockBudget),
	}
}

// Submit hands one message over; marker is told when it is settled. Submit
// waits while too much is waiting already, and fails only when ctx ends or
// the flow has been drained.
func (f *Flow) Submit(ctx context.Context, m Message, marker Marker) error {
	t := newTask(m, marker, f.deps.Now(), f.cfg.Horizon)
	usable := t.fault == nil // the task is another's once it is submitted
	err := f.sched.submit(ctx, t)
	if err != nil {
		return fmt.Errorf("submit %s/%d@%d: %w", m.Topic, m.Partition, m.Offset, err)
	}
	if usable {
		f.usable.Add(1)
	}
	f.deps.Observer.InFlight(int(f.inFlight.Add(1)))
	return nil
}

// drainWaiting is how long a flow that drains goes on taking what waits. After
// it, what no worker has taken is left to whoever reads it next: an instance
// that is told to go has to go.
const drainWaiting = time.Second

// Drain ends the intake. Run returns once what was submitted is settled, or,
// where that takes too long, what workers had taken by then.
func (f *Flow) Drain() {
	f.sched.close()
	time.AfterFunc(drainWaiting, func() {
		// In this order: a batch that hurry has give up frees its order ids, and
		// what still waited then, a cancel of one of them, would overtake it.
		f.sched.discard()
		f.hurry()
	})
}

// Run works until the flow is drained, ctx ends, or it must not go on
// (ErrTooManyDead). When ctx ends, transactions in flight are abandoned: their
// events are not settled, and whoever reads them next finds out from the
// ledger what became of them.
func (f *Flow) Run(ctx context.Context) error {
	defer f.hurry()
	group, ctx := errgroup.WithContext(ctx)
	workers, _ := errgroup.WithContext(ctx)
	for range f.cfg.Workers {
		workers.Go(func() error { return f.work(ctx) })
		group.Go(func() error { return f.settleAll(ctx) })
	}
	group.Go(func() error {
		defer close(f.settling) // nobody sends any more: let the settlers end
		return workers.Wait()
	})
	err := group.Wait()
	f.unlocking.Wait()
	f.deps.Breaker.left(int(f.usable.Load()))
	f.pauses.liftAll()
	f.deps.Observer.InFlight(0)
	f.deps.Observer.Busy(0)
	return err
}
