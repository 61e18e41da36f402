package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// turnLength is how long a partition with messages is read while another one waits for
	// its place. Each turn costs two connections.
	turnLength = time.Second
	// turnRound is the time in which every partition that has no messages should have had
	// its turn, and turnWait the least that one takes: with TLS and a login, two
	// connections cost some milliseconds.
	turnRound = 4 * time.Second
	turnWait  = 250 * time.Millisecond
	// turnPatience is how long a partition waits before another one gives its place up for
	// it: where only a few have none, places would go round all the time otherwise.
	turnPatience = turnRound / 2
	// LooksAtOnce is how many partitions' bounds are asked for at a time where places are
	// few: each over a connection beside those that are read.
	LooksAtOnce = 4
)

// turns lets partitions be read in turn where not all of them can be read at a time. Each is
// read over a connection of its own: a process that has used up its files with them has none
// left for the transactions and the outcomes of what it has read, so its partitions are
// never done with what they have, and keep their files for ever.
//
// Places are given in the order in which they are asked for. A partition that cannot be
// reached has its place for as long as the attempt takes.
type turns struct {
	bounded bool          // otherwise everybody has a place
	wait    time.Duration // how long the broker may hold a question while somebody waits
	looks   chan struct{} // one element for each question for bounds

	mutex sync.Mutex
	free  int
	queue []*waiter
}

// waiter is a partition that waits for its place.
type waiter struct {
	since time.Time
	given chan struct{} // closed when it has the place
	gone  bool          // it does not wait any more
}

// newTurns has so many places for so many partitions; none: as many as there are
// partitions.
func newTurns(places, partitions int) *turns {
	if places <= 0 || places >= partitions {
		return &turns{wait: fetchWait}
	}
	return &turns{
		bounded: true, free: places, looks: make(chan struct{}, LooksAtOnce),
		wait: min(max(turnWait, turnRound*time.Duration(places)/time.Duration(partitions)), fetchWait),
	}
}

// take returns nil when there is a place, or who waits for one.
func (t *turns) take() *waiter {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.free > 0 {
		t.free--
		return nil
	}
	w := &waiter{since: time.Now(), given: make(chan struct{})}
	t.queue = append(t.queue, w)
	return w
}

// give gives a place to whoever it was left for, or to the first that waits.
func (t *turns) give(heir *waiter) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if heir == nil || heir.gone {
		heir = t.next()
	}
	if heir == nil {
		t.free++
		return
	}
	close(heir.given)
}

// next takes the first out of the queue. The mutex is held.
func (t *turns) next() *waiter {
	if len(t.queue) == 0 {
		return nil
	}
	w := t.queue[0]
	t.queue = t.queue[1:]
	return w
}

// leave ends the wait, and gives the place back if it has come meanwhile.
func (t *turns) leave(w *waiter) {
	t.mutex.Lock()
	w.gone = true
	t.queue = slices.DeleteFunc(t.queue, func(other *waiter) bool { return other == w })
	t.mutex.Unlock()
	select {
	case <-w.given:
		t.give(nil)
	default:
	}
}

// claim returns the first that waits, if it has waited for long enough. It is out of the
// queue then: no other place is left for it.
func (t *turns) claim() *waiter {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if len(t.queue) == 0 || time.Since(t.queue[0].since) < turnPatience {
		return nil
	}
	return t.next()
}

// crowded reports whether anybody waits.
func (t *turns) crowded() bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return len(t.queue) > 0
}

// turn is the place of one partition, for one goroutine. It is held from the first
// question about the partition to the end of its connection. While it is held the
// partition may wait for the flow to take its messages, but not for what other partitions
// have, nor for longer than a turn for the time of a message.
type turn struct {
	turns *turns
	held  bool
	since time.Time
	heir  *waiter // who the place is left for
}

// begin waits for a place. It fails when ctx ends first.
func (t *turn) begin(ctx context.Context) error {
	if t.turns.bounded {
		if w := t.turns.take(); w != nil {
			select {
			case <-w.given:
			case <-ctx.Done():
				t.turns.leave(w)
				return ctx.Err()
			}
		}
	}
	t.held, t.since = true, time.Now()
	return ctx.Err()
}

// end gives the place to the next. Without one nothing happens.
func (t *turn) end() {
	if t.held && t.turns.bounded {
		t.turns.give(t.heir)
	}
	t.held, t.heir = false, nil
}

// rest waits for d without a place, and then for the next one.
func (t *turn) rest(ctx context.Context, d time.Duration) error {
	t.end()
	err := sleep(ctx, d)
	if err != nil {
		return err
	}
	return t.begin(ctx)
}

// look asks a question beside what is read.
func (t *turn) look(ctx context.Context, ask func() error) error {
	if t.turns.bounded {
		select {
		case t.turns.looks <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-t.turns.looks }()
	}
	return ask()
}

// lasts reports whether the place may be kept for d while nothing is read. Whoever comes
// meanwhile would have to wait as long, so it is of no importance whether anybody waits now.
func (t *turn) lasts(d time.Duration) bool {
	return !t.turns.bounded || d <= 0 || time.Since(t.since)+d < turnLength
}

// over reports whether the place is to be given to another partition: at once by one
// that has no messages. It is left for that one then, and the turn is to be ended.
func (t *turn) over(idle bool) bool {
	if t.turns.bounded && t.heir == nil && (idle || time.Since(t.since) >= turnLength) {
		t.heir = t.turns.claim()
	}
	return t.heir != nil
}

// wait is how long the broker may hold a question.
func (t *turn) wait() time.Duration {
	if !t.turns.crowded() {
		return fetchWait
	}
	return t.turns.wait
}

// turnOver ends a connection whose place another partition needs more.
type turnOver struct {
	rest time.Duration // for how long nothing is to be read anyway
}

func (e turnOver) Error() string {
	return fmt.Sprintf("other partitions wait to be read, and this one has nothing to do for %s", e.rest)
}
