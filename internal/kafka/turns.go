package kafka

import (
	"context"
	"fmt"
	"sync/atomic"
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
	// LooksAtOnce is how many partitions' bounds are asked for at a time where places are
	// few: each over a connection beside those that are read.
	LooksAtOnce = 4
)

// turns lets partitions be read in turn where not all of them can be read at a time. Each is
// read over a connection of its own: a process that has used up its files with them has none
// left for the transactions and the outcomes of what it has read, so its partitions are
// never done with what they have, and keep their files for ever.
//
// Places are given in the order in which they are asked for: of those that wait at a channel,
// the first is served first. A partition that cannot be reached has its place for as long
// as the attempt takes.
type turns struct {
	places  chan struct{} // one element for each place that is taken; nil: there are enough
	looks   chan struct{} // likewise, for questions for bounds
	wait    time.Duration // how long the broker may hold a question while somebody waits
	waiting atomic.Int32
}

// newTurns has so many places for so many partitions; none: as many as there are
// partitions.
func newTurns(places, partitions int) *turns {
	if places <= 0 || places >= partitions {
		return &turns{wait: fetchWait}
	}
	return &turns{
		places: make(chan struct{}, places), looks: make(chan struct{}, LooksAtOnce),
		wait: min(max(turnWait, turnRound*time.Duration(places)/time.Duration(partitions)), fetchWait),
	}
}

// turn is the place of one partition, for one goroutine. It is held from the first
// question about the partition to the end of its connection. While it is held the
// partition may wait for the flow to take its messages, but not for what other partitions
// have, nor for longer than a turn for the time of a message.
type turn struct {
	turns *turns
	held  bool
	since time.Time
}

// begin waits for a place. It fails when ctx ends first.
func (t *turn) begin(ctx context.Context) error {
	if t.turns.places != nil {
		t.turns.waiting.Add(1)
		defer t.turns.waiting.Add(-1)
		select {
		case t.turns.places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	t.held, t.since = true, time.Now()
	return ctx.Err()
}

// end gives the place to the next. Without one nothing happens.
func (t *turn) end() {
	if t.held && t.turns.places != nil {
		<-t.turns.places
	}
	t.held = false
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
	if t.turns.looks != nil {
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
	return t.turns.places == nil || d <= 0 || time.Since(t.since)+d < turnLength
}

// over reports whether the place is to be given to another partition: at once by one
// that has no messages.
func (t *turn) over(idle bool) bool {
	return t.turns.waiting.Load() > 0 && (idle || time.Since(t.since) >= turnLength)
}

// wait is how long the broker may hold a question.
func (t *turn) wait() time.Duration {
	if t.turns.waiting.Load() == 0 {
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
