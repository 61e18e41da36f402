package audit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"slices"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// ledger lets the ledger audit itself, and looks for orders of which the log
// knows nothing.
func (a *auditor) ledger(ctx context.Context) error {
	var asking error // the first that a question met
	var err error
	a.summary.Ledger, err = a.Ledger.Audit(ctx, stock.AuditOptions{
		Report: func(f stock.Finding) {
			a.find(Finding{Rule: Rule(f.Rule), Order: f.Order, Goods: f.Goods, Detail: f.Detail, Mend: a.mendOf(&f)})
		},
		Progress: func(now stock.Summary) {
			if a.Progress != nil {
				a.Progress(Progress{Step: a.said.Step, Read: now.Orders + now.Movements + now.Goods})
			}
		},
		Order: func(r *stock.Record) {
			if asking == nil {
				asking = a.origin(ctx, r)
			}
		},
	})
	if err == nil {
		err = asking
	}
	return err
}

// hashes makes the keys of one process comparable.
var hashes = maphash.MakeSeed()

func keyOf(order string) uint64 { return maphash.String(hashes, order) }

// remember keeps that an order has an event and no row.
func (a *auditor) remember(s *sight, class Class) {
	if s.fault == nil && s.event.Type == order.Created && !s.known && class != Forgotten {
		// Lost, waiting or dead: what is mended publishes it again.
		a.unrecorded[keyOf(s.event.OrderID)] = struct{}{}
	}
}

// mendOf says what mends a finding of the ledger. An order's row is believed, and its
// movements are made to fit, only where the event that it names was looked at and
// confirms it. Movements without a row are taken back where the log has the event,
// which can be applied anew then; where it has not, nobody can tell here whether the
// order was one.
func (a *auditor) mendOf(f *stock.Finding) Mend {
	mend := false
	switch f.Rule {
	case stock.RuleSum, stock.RuleNoLevel:
		mend = true
	case stock.RuleDeducted, stock.RuleReleased, stock.RuleUntouched:
		c := a.cellOf(f.Origin)
		mend = c != nil && c.answers&confirmed != 0 && c.order == shortHash(f.Order)
	case stock.RuleNoOrder:
		_, mend = a.unrecorded[keyOf(f.Order)]
	case stock.RuleNegative, stock.RuleState:
	}
	if mend {
		return MendStock
	}
	return ""
}

// origin holds an order's row against the event that it names. An event that
// was not settled at the beginning, or that waited or was dead then, may have
// been applied since it was looked at. Nothing mends what is found by itself: in a
// log that was moved with the times of its events, the places of real orders hold
// others, too.
func (a *auditor) origin(ctx context.Context, r *stock.Record) error {
	c := a.cellOf(r.Origin)
	if c == nil || c.order == shortHash(r.Order) || c.place != noPlace || r.Origin.Offset >= a.sheets[r.Origin.Partition].settled {
		return nil
	}
	oldest := a.sheets[r.Origin.Partition].oldest
	if c.answers&stands == 0 || !oldest.IsZero() && r.DecidedAt.Before(oldest.Add(-sinceSlack)) {
		a.summary.Gone++ // compaction has taken it; or the topic was made anew since: the same places, other events
		return nil
	}
	f := Finding{Rule: RuleNoEvent, Order: r.Order, At: r.Origin,
		Detail: fmt.Sprintf("%s since %s, but no event of this order stands there", r.State, r.DecidedAt.Format(order.TimeFormat))}
	if r.State == stock.Deducted {
		back, err := a.givenBack(ctx, r)
		if err != nil || back {
			return err
		}
		f.Lines = r.Lines
	}
	a.find(f)
	return nil
}

// GivenBackRef is the reference under which what an order without event has taken is
// given back: a name of the order's own makes it happen once, however often it is
// asked for.
func GivenBackRef(order string) string {
	return fmt.Sprintf("audit-%x", sha256.Sum256([]byte(order)))[:len("audit-")+32]
}

// givenBack is true when what the order has taken was given back as a finding
// about it has asked for.
func (a *auditor) givenBack(ctx context.Context, r *stock.Record) (bool, error) {
	movements, err := a.Ledger.Movements(ctx, GivenBackRef(r.Order))
	if err != nil {
		return false, fmt.Errorf("whether order %q was given back: %w", r.Order, err)
	}
	return !slices.ContainsFunc(r.Lines, func(line stock.Line) bool {
		return !slices.ContainsFunc(movements, func(m stock.Movement) bool {
			return m.Goods == line.Goods && m.Delta == line.Num
		})
	}), nil
}
