package order

import (
	"strconv"
	"strings"
	"time"

	"orderconsumer/internal/stock"
)

// Types of outcomes.
const (
	OutcomeDeducted = "order.deducted" // every item was taken
	OutcomeRejected = "order.rejected" // something was short, nothing was taken
	OutcomeReleased = "order.released" // what was taken has been given back
	OutcomeVoided   = "order.voided"   // cancelled before anything was taken
	OutcomeDead     = "order.dead"     // the event could not be applied; a person must look
)

// Outcome answers one order event.
type Outcome struct {
	// ID is CausedBy, a point and the last word of Type, so that an outcome that
	// is published again is recognisable.
	ID   string
	Type string
	// OrderID is empty only in an OutcomeDead whose order id could not be read.
	OrderID string
	// CausedBy is the id of the event that is answered.
	CausedBy string
	// OccurredAt is when the order came to its state, or when the event failed
	// for good, in whole milliseconds UTC.
	OccurredAt time.Time
	Lines      []stock.Line     // what was asked for; none in OutcomeVoided and OutcomeDead
	Shortages  []stock.Shortage // why the order was rejected
	Code       string           // why the event is dead, as a stable word
	Detail     string           // and for a person; the member "message"
	// Origin is where the event stands that made the order known, or the dead
	// one itself.
	Origin stock.Origin
}

// OutcomeOf answers an event by what the ledger holds about its order. It is a
// pure function of the event and the row, so that a redelivery publishes the
// same bytes again. A Created event is told what its deduction came to even
// when the order has been released since.
func OutcomeOf(e Event, r stock.Record) Outcome {
	o := Outcome{
		OrderID:    r.Order,
		CausedBy:   e.ID,
		OccurredAt: r.DecidedAt,
		Lines:      r.Lines,
		Origin:     r.Origin,
	}
	switch r.State {
	case stock.Deducted:
		o.Type = OutcomeDeducted
	case stock.Released:
		o.Type, o.OccurredAt = OutcomeReleased, r.ReleasedAt
		if e.Type == Created {
			o.Type, o.OccurredAt = OutcomeDeducted, r.DecidedAt
		}
	case stock.Rejected:
		o.Type, o.Shortages = OutcomeRejected, r.Shortages
	case stock.Voided:
		// Whether the row has lines depends on which event came first; the
		// outcome must not.
		o.Type, o.Lines = OutcomeVoided, nil
	default:
		// No ledger has another state. Should one get it, readers see its name.
		o.Type = "order." + string(r.State)
	}
	o.ID = outcomeID(o.CausedBy, o.Type)
	return o
}

// DeadOutcome says that an event has become a dead letter because of f. The
// event may be what Decode left of a malformed one: without an id it is named
// by its place in the log.
func DeadOutcome(e Event, d Delivery, f Failure) Outcome {
	causedBy := e.ID
	if causedBy == "" {
		causedBy = d.Origin.Topic + "/" + strconv.Itoa(d.Origin.Partition) + "/" + strconv.FormatInt(d.Origin.Offset, 10)
	}
	return Outcome{
		ID:         outcomeID(causedBy, OutcomeDead),
		Type:       OutcomeDead,
		OrderID:    e.OrderID,
		CausedBy:   causedBy,
		OccurredAt: f.At.UTC().Truncate(time.Millisecond),
		Code:       clip(f.Code, maxErrorCodeBytes),
		Detail:     clip(f.Message, maxErrorMessageBytes),
		Origin:     d.Origin,
	}
}

func outcomeID(causedBy, kind string) string {
	_, word, _ := strings.Cut(kind, ".")
	return causedBy + "." + word
}
