package audit

import (
	"hash/fnv"
	"math"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// cell is what is known about one event of the range: where a copy of it stands,
// which outcomes name it as their origin, and of which order it is. It is kept
// small, there are as many as offsets: of the order it has a short hash, so that
// one of 65,535 orders without event is overlooked.
type cell struct {
	place   uint8  // noPlace, deadPlace, or the tier in which it waits
	answers uint8  // bits
	order   uint16 // zero when no event of an order stands there
}

const (
	noPlace   = 0
	firstTier = 1
	deadPlace = 255
	mostTiers = deadPlace - firstTier
)

// Bits of a cell's answers: types of outcomes, and what was seen of the event itself.
const (
	saidDeducted = 1 << iota
	saidRejected
	saidReleased
	saidVoided
	saidDead
	// confirmed: the row of the event's order was looked at, names the event as its
	// origin, and is what the log says.
	confirmed = 1 << 6
	// stands: the log holds a message there. Compaction leaves holes.
	stands = 1 << 7
)

// sheet is what is known about the events of one partition.
type sheet struct {
	from    int64 // offset of the first cell
	settled int64 // offsets below were settled when the audit began
	cells   []cell
	// oldest is the least time of these events, as their producers or the broker wrote
	// it: a log that was moved may have kept the times of the first one. Zero: none
	// was seen.
	oldest time.Time
}

// saw takes into account that a message stands at the offset, and its time.
func (s *sheet) saw(offset int64, at time.Time) {
	s.cells[offset-s.from].answers |= stands
	if s.oldest.IsZero() || at.Before(s.oldest) {
		s.oldest = at
	}
}

// cellOf is what is known about the event at a place; nil when it is not in the
// range.
func (a *auditor) cellOf(at stock.Origin) *cell {
	if at.Topic != a.Topics.Input {
		return nil
	}
	s := a.sheets[at.Partition]
	if s == nil || at.Offset < s.from || at.Offset >= s.from+int64(len(s.cells)) {
		return nil
	}
	return &s.cells[at.Offset-s.from]
}

// shortHash tells orders apart; it is never zero.
func shortHash(id string) uint16 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // it cannot fail
	return uint16(h.Sum32()%math.MaxUint16) + 1
}

// answerBit is the bit of a type of outcome; zero for an unknown type.
func answerBit(outcome string) uint8 {
	switch outcome {
	case order.OutcomeDeducted:
		return saidDeducted
	case order.OutcomeRejected:
		return saidRejected
	case order.OutcomeReleased:
		return saidReleased
	case order.OutcomeVoided:
		return saidVoided
	case order.OutcomeDead:
		return saidDead
	default:
		return 0
	}
}
