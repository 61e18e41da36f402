// Package instance is one running consumer: it opens what the settings name, wires the parts
// together, and lets them run until it is told to stop.
package instance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/crash"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/lock"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/telemetry"
	"orderconsumer/internal/web"
)

// lagEvery is how often the lag is measured. It costs a request to the coordinator and
// two to each broker.
const lagEvery = 5 * time.Second

// Options are what a program brings along besides its settings.
type Options struct {
	Log *slog.Logger
	// ShowPayloads lets the log repeat what events say.
	ShowPayloads bool
	// OpenLedger opens the database of a URL.
	OpenLedger func(ctx context.Context, url string) (*ledger.Ledger, error)
	// OnListen is told the address of the API; may be nil.
	OnListen func(net.Addr)
	// WrapLedger stands between the flow and the ledger; may be nil. Tests and
	// drills make it fail.
	WrapLedger func(order.Ledger) order.Ledger
	// OnSettled is told of every event that is settled, from many goroutines;
	// may be nil. Benchmarks and tests listen.
	OnSettled func(order.Settlement)
	// StayStopped keeps the instance up, not ready and out of its group, when too many dead
	// letters have stopped it. Ended, it would be started anew by whoever supervises it,
	// and each start lets some more dead letters through before it stops.
	StayStopped bool
	// Crash is called at every point of the path; nil: nobody wants a crash.
	Crash crash.Hook
}

// Instance is one running consumer, wired like this:
//
//	kafka.Consumer -> order.Flow -> lock.Locker -> ledger.Ledger
//	      ^              |                           ^    |
//	      | watermark    v                     reads |    | commits
//	      +------- kafka.Publisher                   |    v
//	                               web.Server -> cache.Cache
//
// The consumer makes a flow for each generation. Everything reports to the
// observer, which feeds metrics, health and log.
type Instance struct {
	settings  settings.Consumer
	options   Options
	log       *slog.Logger
	redisPool int // connections to each Redis, of the lock and of the cache; 0: what the client keeps by itself
	client    *kafka.Client
	publisher *kafka.Publisher
	redis     []redis.UniversalClient
	locker    *lock.Locker // nil: the lock is off
	jobLocker *lock.Locker // likewise
	ledger    *ledger.Ledger
	levels    levels
	metrics   *telemetry.Metrics
	health    *telemetry.Health
	observer  *observer
	breaker   *order.Breaker

	formerTiers []string // retry topics of former settings; set by Prepare, and read by many from Run on
}

// Open opens everything a consumer needs. Close gives it back.
func Open(ctx context.Context, s settings.Consumer, o Options) (_ *Instance, err error) {
	err = s.Check()
	if err != nil {
		return nil, cli.Usage("%w", err)
	}
	i := &Instance{settings: s, options: o, log: o.Log, breaker: order.NewBreaker(s.BreakerConfig()), redisPool: s.RedisPool(settings.OpenFilesLimit())}
	defer func() {
		if err != nil {
			i.Close()
		}
	}()
	i.client, err = s.Kafka.Client(memberName())
	if err != nil {
		return nil, &cli.Failure{Code: cli.ExitUsage, Err: err}
	}
	err = i.openLock()
	if err != nil {
		return nil, &cli.Failure{Code: cli.ExitUsage, Err: err}
	}
	url, err := s.Database.Resolved()
	if err != nil {
		return nil, &cli.Failure{Code: cli.ExitUsage, Err: err}
	}
	i.ledger, err = o.OpenLedger(ctx, url)
	if err != nil {
		return nil, settings.DatabaseFailure(ctx, err)
	}
	i.ledger.ServeWorkers(s.Flow.Workers)
	i.ledger.CrashAt(o.Crash)
	i.observe()
	i.ledger.OnAhead(func(how ledger.Ahead) { i.metrics.Ahead(string(how)) })
	i.ledger.OnRefused(i.metrics.Refused)
	err = i.openCache()
	if err != nil {
		return nil, &cli.Failure{Code: cli.ExitUsage, Err: err}
	}
	i.publisher = i.client.NewPublisher(i.metrics)
	return i, nil
}

// memberName is what brokers, and whoever asks them about the group, call this
// process: with the machine and the process in it, so that it can be stopped.
func memberName() string {
	return fmt.Sprintf("order-consumer@%s/%d", cli.HostName(), os.Getpid())
}

func (i *Instance) openLock() error {
	if i.settings.Lock.Mode == settings.LockOff {
		return nil
	}
	clients, err := i.settings.Redis.Clients(lock.ClientConfig{Name: "order-consumer", PoolSize: i.redisPool})
	if err != nil {
		return err
	}
	i.redis = clients
	i.locker, err = lock.New(clients, lock.Config{Prefix: i.settings.Lock.Prefix, Expiry: i.settings.Lock.Expiry})
	if err != nil || i.settings.Jobs.Lease == 0 {
		return err
	}
	i.jobLocker, err = NewJobLocker(clients, i.settings.Group.Group, i.settings.Jobs.Lease)
	return err
}

func (i *Instance) observe() {
	build := cli.BuildOf("consumer")
	i.metrics = telemetry.NewMetrics(telemetry.MetricsConfig{
		Group:        i.settings.Group.Group,
		WorkersLimit: i.settings.Flow.Workers,
		Version:      build.Version,
		Revision:     build.Revision,
	})
	health := telemetry.HealthConfig{Required: []string{telemetry.DependencyDatabase, telemetry.DependencyKafka}}
	switch i.settings.Lock.Mode {
	case settings.LockOff:
	case settings.LockRequired:
		health.Required = append(health.Required, telemetry.DependencyRedis)
	default:
		health.Optional = append(health.Optional, telemetry.DependencyRedis)
	}
	if i.settings.Cache.Mode != settings.CacheOff {
		health.Optional = append(health.Optional, telemetry.DependencyCache)
	}
	i.health = telemetry.NewHealth(health)
	i.observer = newObserver(i.metrics, i.health, i.log, i.options.OnSettled)
	i.observer.showPayloads = i.options.ShowPayloads
}

// Close gives everything back. It is called after Run has returned.
func (i *Instance) Close() {
	var errs []error
	if i.publisher != nil {
		errs = append(errs, i.publisher.Close())
	}
	for _, locker := range []*lock.Locker{i.locker, i.jobLocker} {
		if locker != nil {
			locker.Close()
		}
	}
	for _, client := range i.redis {
		errs = append(errs, client.Close())
	}
	errs = append(errs, i.levels.close())
	if i.ledger != nil {
		errs = append(errs, i.ledger.Close())
	}
	if i.client != nil {
		i.client.Close()
	}
	if err := errors.Join(errs...); err != nil {
		i.log.Warn("connections not closed cleanly", "error", err)
	}
}

// Run works until take ends, then lets what is in flight come to its end;
// when work ends, that is given up. The API stays up until the very end:
// probes and metrics are wanted while the rest drains.
func (i *Instance) Run(take, work context.Context) error {
	defer i.observer.flushDead()
	around, stopAround := context.WithCancel(context.WithoutCancel(take))
	group, around := errgroup.WithContext(around)
	if i.settings.HTTP != "" {
		server, err := i.API()
		if err == nil {
			// Before the group is joined: an instance that cannot begin must not
			// cost the others a rebalance.
			err = server.Listen(around)
		}
		if err != nil {
			stopAround()
			return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: "--http localhost:8081 (HTTP_ADDR), or --http= for none"}
		}
		group.Go(func() error { return server.Run(around) })
	}
	group.Go(func() error { i.health.Poll(around, telemetry.PollConfig{Checks: i.checks()}); return nil })
	group.Go(func() error { i.measureLag(around); return nil })
	group.Go(func() error { i.levels.run(around); return nil })
	group.Go(func() error { return i.runJobs(take, around) })
	group.Go(func() error {
		defer stopAround()
		// An API that cannot be served ends the consumer too.
		take, stopTaking := context.WithCancel(take)
		defer stopTaking()
		defer context.AfterFunc(around, stopTaking)()
		defer context.AfterFunc(take, i.health.Drain)()
		err := i.consumer().Run(take, work)
		if i.options.StayStopped && errors.Is(err, order.ErrTooManyDead) {
			i.stayStopped(take, err)
		}
		return err
	})
	return group.Wait()
}

// API answers questions for orders, stock, health and metrics; Run serves it.
func (i *Instance) API() (*web.Server, error) {
	return web.New(web.Config{Addr: i.settings.HTTP, OnListen: i.options.OnListen}, web.Deps{
		Orders:   i.ledger,
		Levels:   i.levels,
		Health:   i.health,
		Metrics:  i.metrics.Handler(),
		Requests: i.metrics,
		Log:      i.log,
	})
}

// checks are what readiness asks.
func (i *Instance) checks() []telemetry.Check {
	checks := []telemetry.Check{
		{Name: telemetry.DependencyDatabase, Probe: i.ledger.Ping},
		{Name: telemetry.DependencyKafka, Probe: func(ctx context.Context) error {
			_, err := i.client.Ping(ctx)
			return err
		}},
	}
	if i.locker != nil {
		checks = append(checks, telemetry.Check{Name: telemetry.DependencyRedis, Probe: i.locker.Ping})
	}
	if i.levels.store != nil {
		checks = append(checks, telemetry.Check{Name: telemetry.DependencyCache, Probe: i.levels.store.Ping})
	}
	return checks
}

func (i *Instance) consumer() *kafka.Consumer {
	return i.client.NewConsumer(i.member(), i.newFlow, i.observer, i.log)
}

// member is how the instance joins its group.
func (i *Instance) member() kafka.ConsumerConfig {
	s, topics := i.settings, i.settings.Group.Topics()
	delays := make(map[string]time.Duration)
	for _, tier := range topics.Tiers {
		delays[tier.Topic] = tier.Delay
	}
	for _, topic := range i.formerTiers {
		delays[topic] = order.MaxDelay // what the message says, within reason
	}
	member := s.MemberConfig()
	member.Topics, member.Delays, member.Ensure, member.Crash = i.Consumed(), delays, i.EnsureTopics, i.options.Crash
	return member
}

func (i *Instance) newFlow() *order.Flow {
	deps := order.FlowDeps{
		Ledger:    i.ledger,
		Publisher: i.publisher,
		Observer:  i.observer,
		Breaker:   i.breaker,
		Now:       time.Now,
		Crash:     i.options.Crash,
	}
	if i.locker != nil {
		deps.Locker = GoodsLocker{i.locker}
	}
	if i.options.WrapLedger != nil {
		deps.Ledger = i.options.WrapLedger(deps.Ledger)
	}
	return order.NewFlow(i.settings.FlowConfig(), deps)
}

// measureLag tells the metrics how far behind the group is, in the partitions of other
// instances, too: nobody else would speak of one that no instance reads.
func (i *Instance) measureLag(ctx context.Context) {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		positions, err := i.client.Positions(ctx, i.settings.Group.Group, i.Consumed())
		if err != nil {
			continue // readiness tells that the brokers are away
		}
		for _, p := range positions {
			i.metrics.Lag(p.Topic, p.Partition, p.Lag(), i.observer.age(p.Topic, p.Partition, p.Lag()))
		}
	}
}

// WaitSettled returns when everything that stood in the input topic at the
// call has been settled by the group. progress is told how much is left in the topic that is waited for.
func (i *Instance) WaitSettled(ctx context.Context, progress func(topic string, left int64)) error {
	topics := i.settings.Group.Topics()
	var tiers []string
	tiers = append(tiers, i.formerTiers...) // what fails in them goes to the others
	for _, tier := range topics.Tiers {
		tiers = append(tiers, tier.Topic)
	}
	err := i.client.WaitSettled(ctx, i.settings.Group.Group, topics.Input, tiers, progress)
	if err != nil {
		return fmt.Errorf("wait for group %s to settle %s: %w", i.settings.Group.Group, topics.Input, err)
	}
	return nil
}

// Metrics are what the instance counts.
func (i *Instance) Metrics() *telemetry.Metrics { return i.metrics }

// Settled are the events this instance has settled, by outcome.
func (i *Instance) Settled() map[string]int64 { return i.observer.settled() }

// FirstRead is when this instance read its first message; ok is false while it
// has not.
func (i *Instance) FirstRead() (at time.Time, ok bool) {
	ns := i.observer.first.Load()
	return time.Unix(0, ns), ns != 0
}
