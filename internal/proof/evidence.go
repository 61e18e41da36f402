package proof

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// evidence is what the topics say, read by somebody who was not there: every
// event, every dead letter and every outcome. Scans write it from several
// goroutines.
type evidence struct {
	mu       sync.Mutex
	letters  map[stock.Origin]order.Message // dead letters, by where the event stood
	deaths   map[stock.Origin]bool          // outcomes that say an event is dead
	parked   map[stock.Origin]bool          // events that a retry tier still holds
	answers  map[string]*answer             // other outcomes, by the event that they answer
	accounts map[string]*account            // by order
	events   map[string]int                 // how often an event is in the log, by its id
	bodies   map[string]int                 // how often a dead letter of that value is there

	published  int64 // events in the input topic
	duplicates int64 // of them, those that came again
	unsettled  int64 // messages, in retry tiers too, that no offset is committed for
	retried    int64 // messages in retry tiers
}

// answer is the outcome that an event was given.
type answer struct {
	kind      string // the type of the first
	other     string // another type that the same event was given; empty is right
	shortages []stock.Shortage
	asked     bool // there is such an event
}

// account is what the log says about one order.
type account struct {
	lines      []stock.Line // of its creation
	created    bool         // there is an event that creates it and is not dead
	cancelled  bool         // likewise
	toCreated  *answer      // what its creation was answered; nil when nothing was
	toCancel   *answer      // likewise
	events     int64        // of the order
	unanswered int64        // of them
}

func newEvidence() *evidence {
	return &evidence{
		letters:  make(map[stock.Origin]order.Message),
		deaths:   make(map[stock.Origin]bool),
		parked:   make(map[stock.Origin]bool),
		answers:  make(map[string]*answer),
		accounts: make(map[string]*account),
		events:   make(map[string]int),
		bodies:   make(map[string]int),
	}
}

// gather reads the topics. The consumers must have stopped. The input comes
// last: what became of an event is looked up as it is read.
func (c *Case) gather(ctx context.Context, f *findings) (*evidence, error) {
	e := newEvidence()
	ends, err := c.ranges(ctx, c.Topics.Dead, c.Topics.Results)
	if err != nil {
		return nil, err
	}
	positions, err := c.Client.Positions(ctx, c.Group, c.Topics.Consumed())
	if err != nil {
		return nil, err
	}
	settled := make(map[int]int64)
	for _, p := range positions {
		e.unsettled += p.Lag()
		if p.Topic == c.Topics.Input {
			settled[p.Partition] = p.Committed
			continue
		}
		e.retried += p.End - p.First
		ends = append(ends, kafka.Range{Topic: p.Topic, Partition: p.Partition, From: p.End - p.Lag(), To: p.End})
	}
	err = c.Client.Scan(ctx, ends, func(m order.Message) error {
		switch m.Topic {
		case c.Topics.Dead:
			e.letter(m)
		case c.Topics.Results:
			return e.outcome(m)
		default:
			e.park(m)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	input, err := c.ranges(ctx, c.Topics.Input)
	if err != nil {
		return nil, err
	}
	return e, c.Client.Scan(ctx, input, func(m order.Message) error {
		e.event(&m, m.Offset < settled[m.Partition], f)
		return nil
	})
}

// ranges are all that the topics hold.
func (c *Case) ranges(ctx context.Context, topics ...string) ([]kafka.Range, error) {
	var all []kafka.Range
	for _, topic := range topics {
		ranges, err := c.Client.Ranges(ctx, topic)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", topic, err)
		}
		all = append(all, ranges...)
	}
	return all, nil
}

// park notes an event that waits in a retry tier.
func (e *evidence) park(m order.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.parked[order.ParseDelivery(&m).Origin] = true
}

// letter notes a dead letter.
func (e *evidence) letter(m order.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.letters[order.ParseDelivery(&m).Origin] = m
	e.bodies[string(m.Value)]++
}

// outcome notes an outcome. The same one may be there more than once.
func (e *evidence) outcome(m order.Message) error {
	o, err := order.DecodeOutcome(m.Value)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if o.Type == order.OutcomeDead {
		e.deaths[o.Origin] = true
		return nil
	}
	a, known := e.answers[o.CausedBy]
	if !known {
		e.answers[o.CausedBy] = &answer{kind: o.Type, shortages: o.Shortages}
	} else if a.kind != o.Type {
		a.other = o.Type
	}
	return nil
}

// event holds one event of the log against its outcome or its dead letter. An
// event that was not settled has neither, and is no offence.
func (e *evidence) event(m *order.Message, settled bool, f *findings) {
	at := stock.Origin{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset}
	event, malformed := order.Decode(m)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.published++
	if malformed == nil {
		if e.events[event.ID]++; e.events[event.ID] > 1 {
			e.duplicates++
		}
	}
	if !settled || e.parked[at] {
		return
	}
	if letter, dead := e.letters[at]; dead {
		switch {
		case !bytes.Equal(letter.Value, m.Value) || !bytes.Equal(letter.Key, m.Key):
			f.lose(1, "the dead letter of %v has other bytes than the event", at)
		case !e.deaths[at]:
			f.lose(1, "no outcome says that %v is dead", at)
		}
		return
	}
	if malformed != nil {
		f.lose(1, "%v is no event and no dead letter: %v", at, malformed)
		return
	}
	e.accountFor(&event, f)
}

// accountFor adds an event that is not dead to the account of its order.
func (e *evidence) accountFor(event *order.Event, f *findings) {
	a := e.accounts[event.OrderID]
	if a == nil {
		a = &account{}
		e.accounts[event.OrderID] = a
	}
	a.events++
	given := e.answers[event.ID]
	if given == nil {
		a.unanswered++
		f.note("event %s of order %s has no outcome", event.ID, event.OrderID)
	} else {
		given.asked = true
		if given.other != "" {
			f.wrong("event %s of order %s was answered %s and %s", event.ID, event.OrderID, given.kind, given.other)
		}
	}
	if event.Type == order.Cancelled {
		a.cancelled, a.toCancel = true, given
		return
	}
	if a.created && !slices.Equal(a.lines, event.Lines) {
		f.wrong("order %s was created twice with different goods, and neither event is dead", event.OrderID)
	}
	a.created, a.toCreated, a.lines = true, given, event.Lines
}
