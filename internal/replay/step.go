package replay

import (
	"fmt"
	"strings"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// Step is one message and what would become of it.
type Step struct {
	// Message has no value any more in a plan: only what is published needs it.
	Message  order.Message
	Delivery order.Delivery
	Event    order.Event
	Class    Class
	// Detail says more than the class does, for a person; may be empty.
	Detail string
	// Shortages are what a rejected order would be short of.
	Shortages []stock.Shortage

	fault   error // why it is no event
	dropped bool  // the filter does not want it after all
	asks    bool  // it goes through the decision
}

// settlesRejected is true for the cancel of an order that this replay brings back and
// that is rejected in the simulation. Goods may come in before the group gets to the
// create: it is deducted then, and the cancel has an effect after all.
func (step *Step) settlesRejected(record *stock.Record, simulated *memory) bool {
	return step.Event.Type == order.Cancelled && simulated != nil && record != nil && record.State == stock.Rejected
}

// classified gives the step the class of a decision. An order whose record the
// simulation has made is known from an earlier message.
func (step *Step) classified(d *stock.Decision, simulated bool) {
	cancel := step.Event.Type == order.Cancelled
	switch d.Verdict {
	case stock.Conflict:
		step.Class = Conflict
		step.Detail = fmt.Sprintf("the order is %s with other content", d.Record.State)
	case stock.UnknownGoods:
		step.Class, step.Detail = GoodsUnknown, strings.Join(d.Unknown, ", ")
	case stock.Known:
		step.Class, step.Detail = AlreadyApplied, string(d.Record.State)
		switch {
		case simulated:
			step.Class = Repeated
		case d.Record.State == stock.Rejected:
			step.Class, step.Detail = AlreadyRejected, shortText(d.Record.Shortages)
		}
	case stock.Applied:
		switch {
		case cancel && d.Record.State == stock.Released:
			step.Class = WillRelease
		case cancel:
			step.Class = WillVoid
		case d.Record.State == stock.Rejected:
			step.Class, step.Shortages = WillReject, d.Record.Shortages
			step.Detail = shortText(d.Record.Shortages)
		default:
			step.Class = WillDeduct
		}
	}
}

// shortText says what an order is short of: short of 421 by 3.
func shortText(shortages []stock.Shortage) string {
	const shown = 3 // more would not be read
	var parts []string
	for i, s := range shortages {
		if i == shown {
			parts = append(parts, fmt.Sprintf("and %d more", len(shortages)-shown))
			break
		}
		parts = append(parts, fmt.Sprintf("%s by %d", s.Goods, s.Wanted-s.Available))
	}
	if len(parts) == 0 {
		return ""
	}
	return "short of " + strings.Join(parts, ", ")
}
