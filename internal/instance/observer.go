package instance

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/telemetry"
)

// observer passes on what the flow and the group report: everything to the
// metrics, what concerns health to health, and to the log what a person should
// read. It counts for the summary at the end.
type observer struct {
	*telemetry.Metrics
	health  *telemetry.Health
	log     *slog.Logger
	tap     func(order.Settlement)         // may be nil
	oldest  atomic.Pointer[time.Time]      // since when the oldest message is in flight; zero: none is
	commits atomic.Pointer[telemetry.Loop] // turns while the group is joined; nil: it is not
	first   atomic.Int64                   // Unix nanoseconds of the first message read; 0: none yet

	showPayloads bool // log lines repeat what events say

	mu        sync.Mutex
	counts    map[string]int64           // settled events by outcome
	unsettled map[partitionKey]time.Time // of the partitions of this generation; see Unsettled
	said      map[string]time.Time       // when what goes on was last written; see rarely
	dead      map[string]deadSaid        // what was written about dead letters, by code
}

// deadSaid is when a dead letter of a code was last written about, and how many
// were not since.
type deadSaid struct {
	at     time.Time
	silent int64
}

// pauseEvery is how often something that goes on is written again, and how often
// dead letters of one code are: the topic has them all, and the metrics count them.
const pauseEvery = 10 * time.Second

func newObserver(m *telemetry.Metrics, h *telemetry.Health, log *slog.Logger, tap func(order.Settlement)) *observer {
	o := &observer{
		Metrics: m, health: h, log: log, tap: tap,
		counts:    make(map[string]int64),
		unsettled: make(map[partitionKey]time.Time),
		said:      make(map[string]time.Time),
		dead:      make(map[string]deadSaid),
	}
	h.WatchProgress(o.oldestInFlight)
	return o
}

// rarely reports whether something that goes on is to be written now: at first,
// and again after pauseEvery. o.mu is held.
func (o *observer) rarely(key string) bool {
	if time.Since(o.said[key]) <= pauseEvery {
		return false
	}
	o.said[key] = time.Now()
	return true
}

// Consumed implements kafka.Observer.
func (o *observer) Consumed(topic string, partition, n int) {
	o.Metrics.Consumed(topic, partition, n)
	if o.first.Load() == 0 {
		o.first.CompareAndSwap(0, time.Now().UnixNano())
	}
}

// Settled implements order.Observer.
func (o *observer) Settled(s order.Settlement) {
	o.Metrics.Settled(s)
	if o.tap != nil {
		o.tap(s)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts[s.Outcome]++
	if s.Outcome == order.SettledDead {
		o.sayDead(&s)
	}
}

// sayDead writes about a dead letter; o.mu is held.
func (o *observer) sayDead(s *order.Settlement) {
	said := o.dead[s.Code] // codes are few: the program's own
	if time.Since(said.at) < pauseEvery {
		said.silent++
		o.dead[s.Code] = said
		return
	}
	args := []any{"order", s.Order, "code", s.Code, "reason", s.Reason(o.showPayloads),
		"topic", s.Origin.Topic, "partition", s.Origin.Partition, "offset", s.Origin.Offset}
	if said.silent > 0 {
		args = append(args, "others_since", said.silent)
	}
	o.dead[s.Code] = deadSaid{at: time.Now()}
	o.log.Warn("event became a dead letter", args...)
}

// flushDead writes how many dead letters were not written about since the last of
// their code was, when no more will be.
func (o *observer) flushDead() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, code := range slices.Sorted(maps.Keys(o.dead)) {
		if said := o.dead[code]; said.silent > 0 {
			o.log.Warn("more events became dead letters", "code", code, "others_since", said.silent)
			o.dead[code] = deadSaid{at: said.at}
		}
	}
}

// Paused implements order.Observer.
func (o *observer) Paused(dependency string, err error) {
	o.Metrics.Paused(dependency, err)
	o.health.Paused(dependency, err)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		delete(o.said, dependency)
		o.log.Info("going on", "dependency", dependency)
		return
	}
	if o.rarely(dependency) {
		args := []any{"dependency", dependency, "error", err}
		if settings.DeniedTable(err) {
			// It goes on as soon as it may: only somebody has to be told what is missing.
			args = append(args, "fix", settings.GrantOf(err))
		}
		o.log.Warn("work stands still, trying again", args...)
	}
}

// LockFailed implements order.Observer.
func (o *observer) LockFailed(reason string) {
	o.Metrics.LockFailed(reason)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rarely("lock " + reason) {
		o.log.Warn("lock failed", "reason", reason, "means", lockFailure(reason))
	}
}

// lockFailure says what a failure of the lock comes to. None of them touches
// what the stock is.
func lockFailure(reason string) string {
	switch reason {
	case order.LockTimeout:
		return "goods are held by somebody else for longer than an order waits; their orders go to a retry tier"
	case order.LockWasLost:
		return "the lock was lost while orders were worked on; their transaction is run again"
	case order.LockRedisDown:
		return "Redis does not answer the lock; until it does, orders wait or go on under the database's row locks"
	case order.LockUnlock:
		return "goods could not be unlocked; they are free for others when the lock expires"
	default:
		return ""
	}
}

// CacheStore implements cache.Observer.
func (o *observer) CacheStore(err error) {
	o.Metrics.CacheStore(err)
	o.mu.Lock()
	defer o.mu.Unlock()
	const key = "cache"
	switch {
	case err == nil && !o.said[key].IsZero():
		delete(o.said, key)
		o.log.Info("the cache answers again")
	case err != nil && o.rarely(key):
		o.log.Warn("the cache does not answer; levels come from the database, as many at a time as it allows", "error", err)
	}
}

// Joined implements kafka.Observer. While the instance has its place in the
// group, its commit loop has to turn: it is what says how far everything is.
func (o *observer) Joined(joined bool) {
	o.health.Joined(joined)
	var loop *telemetry.Loop
	if joined {
		loop = o.health.Loop("commit")
	}
	if before := o.commits.Swap(loop); before != nil {
		before.Done()
	}
}

// OldestInFlight implements kafka.Observer. The time keeps its monotonic part:
// a clock that is set must not make the watchdog bark.
func (o *observer) OldestInFlight(since time.Time) {
	o.oldest.Store(&since)
	if loop := o.commits.Load(); loop != nil {
		loop.Beat()
	}
}

func (o *observer) oldestInFlight() time.Time {
	if since := o.oldest.Load(); since != nil {
		return *since
	}
	return time.Time{}
}

// Unsettled implements kafka.Observer.
func (o *observer) Unsettled(topic string, partition int, appended time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unsettled[partitionKey{topic, partition}] = appended
}

// partitionKey names a partition.
type partitionKey struct {
	topic string
	id    int
}

// age is that of the first unsettled message of a partition, negative when this
// instance does not read it and cannot tell.
func (o *observer) age(topic string, partition int, lag int64) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	appended, ours := o.unsettled[partitionKey{topic, partition}]
	switch {
	case !ours:
		return -1
	case lag == 0 || appended.IsZero():
		return 0
	default:
		return max(time.Since(appended), 0) // the log's clock may be ahead of ours
	}
}

// Rebalanced implements kafka.Observer. The partitions may be others' now.
func (o *observer) Rebalanced() {
	o.Metrics.Rebalanced()
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.unsettled)
}

// left notes that the instance reads nothing of the topics any more, and will not: what it
// has last known of them is others' to tell.
func (o *observer) left(topics []string) {
	for _, topic := range topics {
		o.Assigned(topic, 0)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.unsettled)
}

// settled is a copy of the counts so far.
func (o *observer) settled() map[string]int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.counts)
}
