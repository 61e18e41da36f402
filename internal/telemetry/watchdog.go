package telemetry

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Loop is one loop of the process that must keep turning. It says so by Beat.
type Loop struct {
	name   string
	health *Health
	beat   atomic.Int64 // nanoseconds from born to the last beat; written by the loop
	born   time.Time
}

// Loop registers a loop and counts as its first beat. A loop that waits for
// something rare (the due time of a retry) has to beat while it waits. Done
// has to be called when the loop ends; several loops may have one name.
func (h *Health) Loop(name string) *Loop {
	l := &Loop{name: name, health: h, born: time.Now()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loops[l] = struct{}{}
	return l
}

// Beat says that the loop turns. It costs a look at the clock and a store.
func (l *Loop) Beat() { l.beat.Store(int64(time.Since(l.born))) }

// Done says that the loop has ended and owes no more beats.
func (l *Loop) Done() {
	l.health.mu.Lock()
	defer l.health.mu.Unlock()
	delete(l.health.loops, l)
}

func (l *Loop) last() time.Time { return l.born.Add(time.Duration(l.beat.Load())) }

// WatchProgress sets where Live asks since when the oldest unsettled message
// has been in this process; the zero time says there is none. The function is
// called by every Live, from any goroutine, and must not block.
func (h *Health) WatchProgress(oldest func() time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.oldest = oldest
}

// Live says whether the process itself moves: its loops turn and what was read
// gets settled. It looks at no dependency, and the time while work is paused
// because of one does not count: a database that is away must not make every
// instance restart. A process that is not alive does not recover by itself.
func (h *Health) Live() Report {
	h.mu.Lock()
	oldest := h.oldest
	h.mu.Unlock()
	// Outside of the lock: the function takes a lock of its own, whose holder
	// may be about to call Paused or Joined.
	var waiting time.Time
	if oldest != nil {
		waiting = oldest()
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	var r Report
	r.add(linePoll, h.polling(), Failing)
	r.add(lineProgress, h.progressing(waiting), Failing)
	return r
}

// polling is unwell as soon as one loop is silent for too long.
func (h *Health) polling() condition {
	var slowest *Loop
	for l := range h.loops {
		if slowest == nil || l.last().Before(slowest.last()) {
			slowest = l
		}
	}
	if slowest == nil {
		return condition{}
	}
	age, stuck := h.stuckFor(slowest.last())
	if !stuck {
		return condition{}
	}
	return condition{
		err:   fmt.Errorf("loop %q has not turned for %s", slowest.name, age.Round(time.Second)),
		since: time.Now().Add(h.cfg.StuckAfter - age),
	}
}

// progressing is unwell when a message has been here for too long.
func (h *Health) progressing(oldest time.Time) condition {
	if oldest.IsZero() {
		return condition{}
	}
	age, stuck := h.stuckFor(oldest)
	if !stuck {
		return condition{}
	}
	return condition{
		err:   fmt.Errorf("a message has not been settled for %s", age.Round(time.Second)),
		since: time.Now().Add(h.cfg.StuckAfter - age),
	}
}

// stuckFor returns how long nothing has moved since the given time, not
// counting what lies before the last pause's end, and whether that is too long.
func (h *Health) stuckFor(since time.Time) (age time.Duration, stuck bool) {
	if len(h.pauses) > 0 {
		return 0, false
	}
	if h.resumed.After(since) {
		since = h.resumed
	}
	age = time.Since(since)
	return age, age > h.cfg.StuckAfter
}
