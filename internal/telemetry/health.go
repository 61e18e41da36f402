package telemetry

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"orderconsumer/internal/order"
)

// Dependencies by the names that health and metrics show. A name is free, but
// these are the ones there are metrics for from the start.
const (
	DependencyDatabase = order.DependencyDatabase
	DependencyRedis    = order.DependencyRedis
	DependencyKafka    = order.DependencyKafka
	DependencyCache    = "cache"
)

// Lines of a report that are not named by a caller.
const (
	lineGroup    = "group"    // the consumer group is joined
	lineWork     = "work"     // work does not stand still
	lineShutdown = "shutdown" // the process is not draining
	linePoll     = "poll"     // the loops that read the log move
	lineProgress = "progress" // what was read gets settled
)

// defaultStuckAfter is well beyond everything one message may wait for by
// design (a lock's budget, a transaction run again and again) and short enough
// that a wedged instance gives up its partitions before the backlog is felt.
const defaultStuckAfter = 2 * time.Minute

// HealthConfig says what readiness depends on.
type HealthConfig struct {
	// Required are the checks without which the instance is not ready, in the
	// order they are shown. Until its first result is in, a check fails.
	Required []string
	// Optional are checks that are shown, as a warning when they fail, and that
	// readiness does not depend on: redis, unless the lock is required.
	Optional []string
	// StuckAfter is how long a loop may stay silent, or a message stay
	// unsettled, before the process counts as dead. Default 2 minutes.
	StuckAfter time.Duration
}

// Health knows the state of the process and of what it depends on, as it was
// last told: asking it costs no request to anything. Its methods may be called
// from many goroutines.
type Health struct {
	cfg HealthConfig

	mu       sync.Mutex            // guards all below
	checks   map[string]*condition // by name, what Checked said last
	pauses   map[string]*condition // by dependency, while paused
	resumed  time.Time             // when the last pause ended
	group    condition
	shutdown condition
	loops    map[*Loop]struct{}
	oldest   func() time.Time // see WatchProgress; nil before
}

// condition is one thing that is well or not.
type condition struct {
	err   error // nil is well
	since time.Time
}

// set notes err; since moves only when well turns to unwell or back.
func (c *condition) set(err error) {
	if c.since.IsZero() || (c.err == nil) != (err == nil) {
		c.since = time.Now()
	}
	c.err = err
}

// NewHealth returns the health of a process that has just started: alive, and
// ready as soon as every required check was well and the group is joined.
func NewHealth(cfg HealthConfig) *Health {
	if cfg.StuckAfter <= 0 {
		cfg.StuckAfter = defaultStuckAfter
	}
	cfg.Required, cfg.Optional = slices.Clone(cfg.Required), slices.Clone(cfg.Optional)
	h := &Health{
		cfg:    cfg,
		checks: map[string]*condition{},
		pauses: map[string]*condition{},
		loops:  map[*Loop]struct{}{},
	}
	notYet := errors.New("not checked yet")
	for _, name := range slices.Concat(cfg.Required, cfg.Optional) {
		h.checks[name] = &condition{}
		h.checks[name].set(notYet)
	}
	h.group.set(errNotJoined)
	h.shutdown.set(nil)
	return h
}

var (
	errNotJoined = errors.New("not joined")
	errDraining  = errors.New("draining")
)

// Checked notes the result of a check; nil is well. A name that is neither
// required nor optional is shown like an optional one.
func (h *Health) Checked(name string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.checks[name]
	if c == nil {
		c = &condition{}
		h.checks[name] = c
	}
	c.set(err)
}

// Paused notes that work stands still because of a dependency, or goes on
// again when err is nil. It is order.Observer's method of that name.
func (h *Health) Paused(dependency string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		if _, ok := h.pauses[dependency]; ok {
			delete(h.pauses, dependency)
			h.resumed = time.Now()
		}
		return
	}
	c := h.pauses[dependency]
	if c == nil {
		c = &condition{}
		h.pauses[dependency] = c
	}
	c.set(err)
}

// Joined notes whether the instance is a member of the consumer group. Between
// two generations it is not.
func (h *Health) Joined(joined bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if joined {
		h.group.set(nil)
		return
	}
	h.group.set(errNotJoined)
}

// Drain notes that the process takes no new work any more. There is no way
// back.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shutdown.set(errDraining)
}

// Ready says whether the instance can do its work: every required check well,
// group joined, nothing paused, not draining.
func (h *Health) Ready() Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	var r Report
	for _, name := range h.cfg.Required {
		r.add(name, *h.checks[name], Failing)
	}
	for _, name := range h.optional() {
		r.add(name, *h.checks[name], Warning)
	}
	r.add(lineGroup, h.group, Failing)
	r.add(lineWork, h.work(), Failing)
	r.add(lineShutdown, h.shutdown, Failing)
	return r
}

// optional returns the names of the checks readiness does not depend on: the
// configured ones in their order, then those only heard of.
func (h *Health) optional() []string {
	names := slices.Clone(h.cfg.Optional)
	for name := range h.checks {
		if !slices.Contains(h.cfg.Required, name) && !slices.Contains(h.cfg.Optional, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names[len(h.cfg.Optional):])
	return names
}

// work joins the pauses into one condition, as old as the oldest of them.
func (h *Health) work() condition {
	if len(h.pauses) == 0 {
		return condition{since: h.resumed}
	}
	var c condition
	var reasons []string
	for name, pause := range h.pauses {
		reasons = append(reasons, "paused by "+name+": "+pause.err.Error())
		if c.since.IsZero() || pause.since.Before(c.since) {
			c.since = pause.since
		}
	}
	slices.Sort(reasons)
	c.err = errors.New(strings.Join(reasons, "; "))
	return c
}
