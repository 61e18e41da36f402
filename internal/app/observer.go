package app

import (
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/telemetry"
)

// observer passes on what the flow and the group report: everything to the
// metrics, what concerns health to health, and to the log what a person should
// read. It counts for the summary at the end.
type observer struct {
	*telemetry.Metrics
	health *telemetry.Health
	log    *slog.Logger
	tap    func(order.Settlement)    // may be nil
	oldest atomic.Pointer[time.Time] // since when the oldest message is in flight; zero: none is
	first  atomic.Int64              // Unix nanoseconds of the first message read; 0: none yet

	mu     sync.Mutex
	counts map[string]int64     // settled events by outcome
	said   map[string]time.Time // when a pause was last written, by dependency
}

// pauseEvery is how often a pause that lasts is written again.
const pauseEvery = 10 * time.Second

func newObserver(m *telemetry.Metrics, h *telemetry.Health, log *slog.Logger, tap func(order.Settlement)) *observer {
	o := &observer{
		Metrics: m, health: h, log: log, tap: tap,
		counts: make(map[string]int64),
		said:   make(map[string]time.Time),
	}
	h.WatchProgress(o.oldestInFlight)
	return o
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
	if time.Since(o.said[dependency]) > pauseEvery {
		o.said[dependency] = time.Now()
		o.log.Warn("work stands still, trying again", "dependency", dependency, "error", err)
	}
}

// LockFailed implements order.Observer.
func (o *observer) LockFailed(reason string) {
	o.Metrics.LockFailed(reason)
	o.mu.Lock()
	defer o.mu.Unlock()
	const key = "lock "
	if time.Since(o.said[key+reason]) > pauseEvery {
		o.said[key+reason] = time.Now()
		o.log.Warn("goods not locked or lock lost; the database's row locks guard the stock", "reason", reason)
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
	case err != nil && time.Since(o.said[key]) > pauseEvery:
		o.said[key] = time.Now()
		o.log.Warn("the cache does not answer; levels come from the database, as many at a time as it allows", "error", err)
	}
}

// Joined implements kafka.Observer.
func (o *observer) Joined(joined bool) { o.health.Joined(joined) }

// OldestInFlight implements kafka.Observer. The time keeps its monotonic part:
// a clock that is set must not make the watchdog bark.
func (o *observer) OldestInFlight(since time.Time) { o.oldest.Store(&since) }

func (o *observer) oldestInFlight() time.Time {
	if since := o.oldest.Load(); since != nil {
		return *since
	}
	return time.Time{}
}

// age of the oldest message in flight stands for the age of a partition's lag:
// a partition without lag has none.
func (o *observer) age(lag int64) time.Duration {
	since := o.oldestInFlight()
	if lag == 0 || since.IsZero() {
		return 0
	}
	return time.Since(since)
}

// settled is a copy of the counts so far.
func (o *observer) settled() map[string]int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.counts)
}
