package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/crash"
	product "orderconsumer/internal/instance" // an instance is one that is played, here
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/lock"
	"orderconsumer/internal/order"
)

// slot is a place that one instance after another has.
type slot struct {
	world  *world
	number int
	skew   atomic.Int64 // of the clock, in nanoseconds

	mu      sync.Mutex
	current *instance
	begun   int
	point   crash.Point // at which the instance dies; "" at none
	passes  int         // passings that are left until then
}

func (s *slot) now() *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// start begins a new instance.
func (s *slot) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	s.current = newInstance(s, fmt.Sprintf("c%d.%d", s.number, s.begun))
	s.world.join(s.current)
	go s.current.run()
}

// restart begins a new instance if the last one is gone or going.
func (s *slot) restart() {
	i := s.now()
	if !i.going() {
		return // it never came to its point
	}
	if !i.dead.Load() {
		<-i.done // an orderly end takes as long as it takes
	}
	s.start()
}

// crashAt has the instance die at the n-th passing of a point from now on.
func (s *slot) crashAt(point crash.Point, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.point, s.passes = point, n
}

// passing reports whether the instance dies at this passing.
func (s *slot) passing(p crash.Point) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != s.point {
		return false
	}
	s.passes--
	if s.passes > 0 {
		return false
	}
	s.point = ""
	return true
}

// instance is one consumer, wired as internal/instance wires it, on the servers of
// the world.
type instance struct {
	world *world
	slot  *slot
	name  string
	dead  atomic.Bool
	gone  atomic.Bool // told to end, in whichever way
	done  chan struct{}
	ended error // how, once done is closed; nil: as it was told

	take, work         context.Context //nolint:containedctx // the two of a process, ended from outside
	stopTaking, giveUp context.CancelFunc

	client    *kafka.Client
	publisher *kafka.Publisher
	redis     []redis.UniversalClient
	locker    *lock.Locker
	breaker   *order.Breaker
}

func newInstance(s *slot, name string) *instance {
	i := &instance{world: s.world, slot: s, name: name, done: make(chan struct{}),
		breaker: order.NewBreaker(s.world.settings.BreakerConfig())}
	i.take, i.stopTaking = context.WithCancel(context.Background())
	i.work, i.giveUp = context.WithCancel(context.Background())
	return i
}

// going reports whether the instance is gone or on its way.
func (i *instance) going() bool { return i.gone.Load() }

// stop is SIGTERM.
func (i *instance) stop() {
	i.gone.Store(true)
	i.stopTaking()
}

// abort is a second SIGTERM.
func (i *instance) abort() {
	i.stop()
	i.giveUp()
}

// kill is kill -9: from this instant nothing of the instance reaches anything.
func (i *instance) kill() {
	i.dead.Store(true)
	i.world.network.part(i.name) // for ever
	i.abort()
}

// run is the life of the instance.
func (i *instance) run() {
	defer close(i.done)
	err := i.open()
	if err != nil {
		i.world.wrong("%s cannot begin: %v", i.name, err)
		return
	}
	member := i.world.settings.MemberConfig()
	topics := i.world.topics
	member.Topics, member.Delays = topics.Consumed(), make(map[string]time.Duration)
	for _, tier := range topics.Tiers {
		member.Delays[tier.Topic] = tier.Delay
	}
	member.Ensure = func(context.Context) error { return nil } // topics stay where they are
	member.Crash = i.hook
	err = i.client.NewConsumer(member, i.newFlow, i.observer(), i.world.log.With("instance", i.name)).Run(i.take, i.work)
	i.ended = err
	rightly := errors.Is(err, kafka.ErrDataLoss) && i.world.retention.removed.Load() > 0
	if err != nil && !rightly && !i.dead.Load() {
		i.world.wrong("%s ended by itself: %v", i.name, err)
	}
	i.close()
}

// redisConns are more than an instance asks for at a time: whoever waits for one has
// go-redis use a timer that all worlds share, and Go ends the process when a world meets
// the timer of another one.
const redisConns = 1000

func (i *instance) open() (err error) {
	i.client = kafka.Connect(kafka.Config{
		Brokers: i.world.brokers, ClientID: "order-consumer", Dial: i.world.network.dialer(i.name),
	})
	i.publisher = i.client.NewPublisher(i.observer())
	if i.world.plan.lock == "off" {
		return nil
	}
	i.redis, err = lock.NewClients([]string{"redis://" + redisEnd + ":6379/0"},
		lock.ClientConfig{Name: "order-consumer", PoolSize: redisConns, Dial: i.world.network.redisDialer(i.name)})
	if err != nil {
		return err
	}
	s := i.world.settings.Lock
	i.locker, err = lock.New(i.redis, lock.Config{Prefix: s.Prefix, Expiry: s.Expiry})
	return err
}

func (i *instance) close() {
	_ = i.publisher.Close() // never fails
	if i.locker != nil {
		i.locker.Close()
	}
	for _, client := range i.redis {
		_ = client.Close() // its connections may be cut already
	}
	i.client.Close()
}

func (i *instance) newFlow() *order.Flow {
	deps := order.FlowDeps{
		Ledger:    session{i.world.database, i},
		Publisher: i.publisher,
		Observer:  i.observer(),
		Breaker:   i.breaker,
		Now:       func() time.Time { return time.Now().Add(time.Duration(i.slot.skew.Load())) },
		Crash:     i.hook,
	}
	switch {
	case i.locker == nil:
	case i.world.plan.granting:
		deps.Locker = granting{}
	default:
		deps.Locker = watchedLock{product.GoodsLocker{Locker: i.locker}, i.world.holders, i}
	}
	return order.NewFlow(i.world.settings.FlowConfig(), deps)
}

// hook is called at every point of the path: it takes a moment, and it may be
// the end.
func (i *instance) hook(p crash.Point) {
	if i.dead.Load() {
		return
	}
	time.Sleep(i.world.database.dice.upTo(i.world.plan.jitter))
	if i.slot.passing(p) {
		i.world.reached.mark("crash " + string(p))
		i.world.reached.mark("fault " + faultCrashAt)
		i.kill()
	}
}

// granting is a lock that everybody gets.
type granting struct{}

// Lock implements order.Locker.
func (granting) Lock(context.Context, []string) (order.Lease, error) { return granting{}, nil }

// Waited implements order.Lease: nobody is waited for.
func (granting) Waited() bool { return false }

// Lost implements order.Lease.
func (granting) Lost() <-chan struct{} { return nil }

// Unlock implements order.Lease.
func (granting) Unlock(context.Context) error { return nil }
