// Package redrive looks through a group's dead letters: what there is, why, and
// what has become of each since. Nothing is ever removed from the log; what
// people decide about a letter stands in the database, as marks.
package redrive

import (
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// ID names a dead letter by its place in the dead-letter topic.
type ID struct {
	Partition int
	Offset    int64
}

// String is partition/offset.
func (id ID) String() string { return fmt.Sprintf("%d/%d", id.Partition, id.Offset) }

// ParseID reads partition/offset.
func ParseID(text string) (ID, error) {
	before, after, found := strings.Cut(text, "/")
	partition, err := strconv.Atoi(before)
	offset, offsetErr := strconv.ParseInt(after, 10, 64)
	if !found || err != nil || offsetErr != nil || partition < 0 || offset < 0 {
		return ID{}, fmt.Errorf("%q is no dead letter: want partition/offset, such as 3/17", text)
	}
	return ID{Partition: partition, Offset: offset}, nil
}

// State is what has become of a dead letter.
type State string

const (
	// Open: nothing has been done about it.
	Open State = "open"
	// Waiting: it was redriven, and waits in a retry tier.
	Waiting State = "waiting"
	// Resolved: its order is known by now, as the event wants it.
	Resolved State = "resolved"
	// Superseded: the same event has failed again, and a later letter says why.
	Superseded State = "superseded"
	// Archived: somebody has decided that nothing is to be done.
	Archived State = "archived"
)

// States are all states.
var States = []State{Open, Waiting, Resolved, Superseded, Archived}

// Letter is what is kept of a dead letter; the message itself stays in the log.
type Letter struct {
	ID
	At    time.Time // when it was appended
	State State
	// Origin is where its event was first read.
	Origin stock.Origin
	// Order is empty when the event cannot be read and has no key.
	Order string
	Type  order.Type // empty when it cannot be read
	// Cause is the code of the failure, with the place of the mistake where there
	// is one: schema_invalid at /items/*/num.
	Cause, Code string
	Reason      string // of the last attempt, for a person
	Attempts    int
	FirstFailed time.Time
	LastFailed  time.Time
	Replays     int // how often it has been published again
	Truncated   bool
	// Mark is the last one; nil when there was none.
	Mark *Mark

	content uint64 // of the order's lines
}

// newLetter reads what matters of a message. Equal causes and reasons share their
// bytes.
func newLetter(m *order.Message, words map[string]string) Letter {
	d := order.ParseDelivery(m)
	event, fault := order.Decode(m)
	l := Letter{
		ID: ID{m.Partition, m.Offset}, At: m.Time.UTC(), Origin: d.Origin, Order: strings.Clone(event.OrderID),
		Attempts: d.Attempt, FirstFailed: d.FirstFailedAt, Replays: d.ReplayCount, Truncated: d.Truncated != nil,
		State: Open,
	}
	if fault == nil {
		l.Type, l.content = event.Type, contentOf(event.Lines)
	}
	if l.Order == "" {
		l.Order = strings.ToValidUTF8(string(m.Key), "?")
	}
	code, _ := m.Header(order.HeaderErrorCode)
	reason, _ := m.Header(order.HeaderErrorMessage)
	last, _ := m.Header(order.HeaderLastFailedAt)
	l.LastFailed, _ = time.Parse(time.RFC3339Nano, string(last)) // zero when it makes no sense
	one := func(text string) string {
		text = strings.ToValidUTF8(text, "?")
		known, ok := words[text]
		if !ok {
			known = strings.Clone(text)
			if len(words) < maxWords {
				words[known] = known
			}
		}
		return known
	}
	l.Code, l.Cause = one(string(code)), one(causeOf(string(code), string(reason)))
	l.Reason = one(string(reason))
	l.Origin.Topic = one(l.Origin.Topic)
	return l
}

// maxWords bounds what is remembered in order to share it: reasons may all differ.
const maxWords = 10_000

// unknownCause is the cause of a letter that does not say one.
const unknownCause = "no code"

// causeOf is what letters are grouped by: the code, and of a malformed event
// where the mistake is, without the numbers that differ from order to order.
func causeOf(code, reason string) string {
	if code == "" {
		return unknownCause
	}
	place, found := strings.CutPrefix(reason, code+" at ")
	if !found || !strings.HasPrefix(place, "/") {
		return code
	}
	place, _, _ = strings.Cut(place, ":")
	steps := strings.Split(strings.TrimSpace(place), "/")
	for i, step := range steps {
		if _, err := strconv.Atoi(step); err == nil {
			steps[i] = "*"
		}
	}
	return code + " at " + strings.Join(steps, "/")
}

// seed makes the hashes of one process comparable.
var seed = maphash.MakeSeed()

// contentOf is a hash of an order's lines.
func contentOf(lines []stock.Line) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, line := range lines {
		maphash.WriteComparable(&h, line)
	}
	return h.Sum64()
}

// settledBy is true when the order's row is what the letter's event wants: its
// event has been applied since, or another one of the order has.
func (l *Letter) settledBy(r *stock.Record) bool {
	switch l.Type {
	case order.Created:
		return r.State == stock.Voided || contentOf(r.Lines) == l.content
	case order.Cancelled:
		return r.State != stock.Deducted
	default:
		return false
	}
}

// MarkKind is what somebody has decided about a letter.
type MarkKind string

const (
	// MarkArchived: nothing is to be done about it.
	MarkArchived MarkKind = "archived"
	// MarkRestored: something is, after all.
	MarkRestored MarkKind = "restored"
)

// Mark is one decision about a letter.
type Mark struct {
	ID
	// Seq counts the letter's marks from 1.
	Seq int
	// AppendedAt is when the letter was appended: a topic that is made anew has
	// the same places for other letters.
	AppendedAt time.Time
	Kind       MarkKind
	Note       string
	Actor      string
	At         time.Time
}
