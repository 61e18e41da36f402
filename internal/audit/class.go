package audit

import (
	"fmt"
	"slices"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// Class is the end that an event has come to. An event is in exactly one.
type Class string

const (
	// Applied: it made its order what it is, or released or voided it.
	Applied Class = "applied"
	// Duplicate: its order was known, with the same content, from another event.
	Duplicate Class = "duplicate"
	// Rejected: its order was short of something, and took nothing.
	Rejected Class = "rejected"
	// Waiting in a retry tier.
	Waiting Class = "waiting"
	// Dead: it is among the dead letters.
	Dead Class = "dead"
	// InFlight: nobody has settled it yet.
	InFlight Class = "in flight"
	// Forgotten: it is older than the dedup horizon, and its order is not known
	// any more.
	Forgotten Class = "forgotten"
	// Off: it has none of these ends, and a finding says what is wrong.
	Off Class = "off"
)

// Classes are all classes, in the order in which they are shown.
var Classes = []Class{Applied, Duplicate, Rejected, Waiting, Dead, InFlight, Forgotten, Off}

// Rule names what a finding breaks; the rules of package stock are among the
// findings too. The words are stable.
type Rule string

const (
	// RuleLost: a settled event is in none of the places where it could be.
	RuleLost Rule = "event_lost"
	// RuleConflict: the order is known with other content, and the event is not
	// among the dead letters.
	RuleConflict Rule = "event_conflict"
	// RuleUnreadable: the event cannot be read, and is not among the dead letters.
	RuleUnreadable Rule = "event_unreadable"
	// RuleNotReleased: an order was cancelled and has not given back what it took.
	RuleNotReleased Rule = "cancel_without_effect"
	// RuleUnanswered: no outcome says what the order came to.
	RuleUnanswered Rule = "event_unanswered"
	// RuleNoEvent: an order is recorded, and no event of it stands where the row
	// says.
	RuleNoEvent Rule = "order_without_event"
	// RuleRemoved: events were removed from the log before they were settled.
	RuleRemoved Rule = "events_removed"
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Rule  Rule
	Order string // empty when it is not about an order, or cannot be read
	Goods string // empty when it is not about a goods
	// At is where the event stands; its topic is empty when it is not about an
	// event.
	At     stock.Origin
	Detail string // for a person
	// Lines are what an order without event has taken from the stock.
	Lines []stock.Line
	// Mend is what mends it; empty when a person has to look.
	Mend Mend
}

// Mend names what mends a finding. The words are stable.
type Mend string

const (
	// MendStock: the levels, or an order's movements, are made what they must be.
	MendStock Mend = "stock add"
	// MendReplay: the event has its effect when it is published again.
	MendReplay Mend = "replay"
	// MendReset: the event ends among the dead letters when the group reads it again.
	MendReset Mend = "group reset"
)

// sight is everything that is known about one event.
type sight struct {
	at       stock.Origin // where it stands
	event    order.Event
	fault    error // why it cannot be read
	known    bool
	record   stock.Record
	place    uint8 // where a copy of it stands
	answers  uint8 // outcomes that name it
	old      bool  // it is older than the dedup horizon
	lettered bool  // dead letters of its time may have been removed
}

// judge gives an event its class. It is a pure function; the finding is only
// set for Off.
func (s *sight) judge() (Class, Finding) {
	if s.fault == nil && s.known {
		if class, ended := s.byRecord(); ended {
			return class, Finding{}
		}
	}
	switch {
	case s.contradicted(), s.forgone():
	case s.place == deadPlace:
		return Dead, Finding{}
	case s.place != noPlace:
		return Waiting, Finding{}
	}
	f := Finding{Order: s.event.OrderID, At: s.at}
	switch {
	case s.fault != nil:
		f.Rule, f.Mend, f.Detail = RuleUnreadable, MendReset, s.fault.Error()
	case s.known && s.event.Type == order.Cancelled:
		f.Rule, f.Mend = RuleNotReleased, MendReplay
		f.Detail = fmt.Sprintf("settled, but the order is %s since %s", s.record.State, s.record.DecidedAt.Format(order.TimeFormat))
	case s.known:
		f.Rule = RuleConflict
		f.Detail = fmt.Sprintf("the order is %s with other content since %s", s.record.State, s.record.DecidedAt.Format(order.TimeFormat))
		if s.contradicted() {
			f.Detail += ", by this very event: its row is not what the event asked for"
		} else {
			f.Mend = MendReset
		}
	case s.old:
		return Forgotten, Finding{}
	default:
		f.Rule, f.Mend = RuleLost, MendReplay
		f.Detail = "settled, but its order is not recorded, and it is neither waiting nor a dead letter"
		if s.place == deadPlace {
			f.Detail = "its dead letter was brought back and answered, but its order is not recorded"
		}
	}
	if s.lettered {
		f.Detail += "; dead letters of its time may have been removed from the log"
	}
	return Off, f
}

// contradicted is true when the order's row names this event and is not what it
// asked for: the row was changed by hand.
func (s *sight) contradicted() bool {
	return s.fault == nil && s.known && s.record.Origin == s.at && s.event.Type == order.Created &&
		s.record.State != stock.Voided && !slices.Equal(s.record.Lines, s.event.Lines)
}

// confirmed is true when the order's row names this event and is what all of the log
// says: what the event asks for, and nothing but the outcomes of such an order. Without
// the outcome of the row's state nobody can tell whether the state was changed by hand.
func (s *sight) confirmed() bool {
	if s.fault != nil || !s.known || s.record.Origin != s.at || s.contradicted() {
		return false
	}
	said := s.answers & (saidDeducted | saidRejected | saidReleased | saidVoided)
	cause := order.Created
	switch s.record.State {
	case stock.Deducted:
		said ^= saidDeducted
	case stock.Rejected:
		said ^= saidRejected
	case stock.Released:
		said = said&^saidDeducted ^ saidReleased // the first of its outcomes is the older one
	case stock.Voided:
		cause = order.Cancelled
		said ^= saidVoided
	default:
		return false
	}
	return s.event.Type == cause && said == 0
}

// forgone is true for a dead letter that was brought back and applied, since an
// outcome says so, and whose order is not recorded any more.
func (s *sight) forgone() bool {
	const applied = saidDeducted | saidRejected | saidReleased | saidVoided
	return s.fault == nil && !s.known && !s.old && s.place == deadPlace && s.answers&applied != 0
}

// byRecord is the end that the order's row gives the event; ended is false when
// the row does not explain it.
func (s *sight) byRecord() (class Class, ended bool) {
	mine := s.record.Origin == s.at
	if s.event.Type == order.Cancelled {
		switch s.record.State {
		case stock.Released:
			return Applied, true // which of several cancels gave back is not recorded
		case stock.Rejected:
			return Rejected, true
		case stock.Voided:
			return either(mine, Applied), true
		default:
			return "", false
		}
	}
	switch {
	case s.record.State == stock.Voided: // cancelled before it came: it takes nothing, whatever it asks for
		return Applied, true
	case !slices.Equal(s.record.Lines, s.event.Lines):
		return "", false
	case s.record.State == stock.Rejected:
		return either(mine, Rejected), true
	default:
		return either(mine, Applied), true
	}
}

func either(mine bool, class Class) Class {
	if mine {
		return class
	}
	return Duplicate
}

// answerWanted is the outcome that the event must have been given; zero when it
// must have none yet.
func (s *sight) answerWanted(class Class) uint8 {
	switch class {
	case Dead:
		return saidDead
	case Applied, Duplicate, Rejected:
		return answerBit(order.OutcomeOf(s.event, s.record).Type)
	default:
		return 0
	}
}

// older is true when an event may belong to orders that have been cleaned up.
func (a *auditor) older(m *order.Message, e *order.Event) bool {
	d := order.ParseDelivery(m)
	return order.CheckHorizon(a.Horizon, order.EventTime(m, &d, e), a.Now()) != nil
}

// before is true when a message is older than a moment that is known.
func before(m *order.Message, moment time.Time) bool {
	return !moment.IsZero() && m.Time.Before(moment)
}
