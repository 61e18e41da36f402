// Package proof finds out, after the fact and from the outside, whether a
// consumer kept its promise: it holds what was published, what stands in the
// topics and what the ledger says against each other, and believes nothing the
// consumer says about itself.
package proof

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/workload"
)

// findings are what is not as it should be. Only evidence.gather adds to them
// from several goroutines, and under its own lock.
type findings struct {
	texts    []string // the first of them
	count    int      // of what is wrong
	lost     int64    // events without an end
	oversold int64    // goods sold that were not there
}

// findingsTold is how many findings are told; one mistake often has thousands.
const findingsTold = 20

func (f *findings) note(format string, args ...any) {
	if len(f.texts) < findingsTold {
		f.texts = append(f.texts, fmt.Sprintf(format, args...))
	}
}

// wrong adds something that is not as it should be.
func (f *findings) wrong(format string, args ...any) {
	f.count++
	f.note(format, args...)
}

// lose adds events that have no end.
func (f *findings) lose(events int64, format string, args ...any) {
	f.lost += events
	f.wrong(format, args...)
}

// sell adds goods that were sold and were not there.
func (f *findings) sell(num int64, format string, args ...any) {
	f.oversold += num
	f.wrong(format, args...)
}

// books are the ledger's rows, and what they come to.
type books struct {
	records map[string]stock.Record
	states  map[stock.State]int64
	levels  map[string]stock.Level
}

// Ledger is what is read of the ledger.
type Ledger interface {
	Audit(ctx context.Context, o stock.AuditOptions) (stock.Summary, error)
	Records(ctx context.Context, orders []string) (map[string]stock.Record, error)
	Levels(ctx context.Context, goods []string) (map[string]stock.Level, error)
}

// Case is what there is to examine. The consumers must have stopped, and the
// topics must hold nothing from before.
type Case struct {
	Client *kafka.Client
	Ledger Ledger
	Group  string
	Topics order.Topics
	// Delivered is all that ever came in, by goods.
	Delivered map[string]int64
	// Loads are what was published.
	Loads []Load
}

// Load is the part of a workload that is in the log for certain: its first
// Sent events.
type Load struct {
	Workload *workload.Workload
	Sent     int
}

// Report is what was found.
type Report struct {
	Published  int64                 // events in the input topic
	Duplicates int64                 // of them, those that came again
	Retried    int64                 // messages in retry tiers
	Dead       int64                 // events among the dead letters
	Unsettled  int64                 // messages, in retry tiers too, that no offset is committed for
	States     map[stock.State]int64 // orders in the ledger

	Lost     int64    // events without an end
	Oversold int64    // goods sold that were not there
	Wrong    int      // things that are not as they should be, those two among them
	Findings []string // the first of them
}

// Clean reports that the promise was kept.
func (r *Report) Clean() bool { return r.Wrong == 0 && r.Lost == 0 && r.Oversold == 0 }

// Examine reads everything and compares. It takes memory for every order.
func Examine(ctx context.Context, c Case) (*Report, error) {
	f := &findings{}
	e, err := c.gather(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("examine: %w", err)
	}
	b, err := c.readBooks(ctx, e, f)
	if err != nil {
		return nil, fmt.Errorf("examine: %w", err)
	}
	e.checkOrders(b, f)
	e.checkOutcomes(f)
	e.checkLevels(b, c.Delivered, f)
	for _, load := range c.Loads {
		e.checkLoad(load, f)
	}
	return &Report{
		Published: e.published, Duplicates: e.duplicates, Retried: e.retried,
		Dead: int64(len(e.letters)), Unsettled: e.unsettled, States: b.states,
		Lost: f.lost, Oversold: f.oversold, Wrong: f.count, Findings: f.texts,
	}, nil
}

// readBooks lets the ledger audit itself, and reads what the other checks need.
func (c *Case) readBooks(ctx context.Context, e *evidence, f *findings) (*books, error) {
	own, err := c.Ledger.Audit(ctx, stock.AuditOptions{Report: func(found stock.Finding) {
		f.wrong("ledger: %s %s %s %s", found.Rule, found.Order, found.Goods, found.Detail)
	}})
	if err != nil {
		return nil, err
	}
	if own.Orders != int64(len(e.accounts)) {
		f.wrong("the ledger has %d orders, the log %d", own.Orders, len(e.accounts))
	}
	b := &books{states: own.ByState}
	b.records, err = c.Ledger.Records(ctx, slices.Collect(maps.Keys(e.accounts)))
	if err != nil {
		return nil, err
	}
	b.levels, err = c.Ledger.Levels(ctx, slices.Collect(maps.Keys(c.Delivered)))
	if err == nil && own.Goods != int64(len(c.Delivered)) {
		f.wrong("the ledger has %d goods, %d were delivered", own.Goods, len(c.Delivered))
	}
	return b, err
}

// allowed are the states that an order may come to, by what was asked.
func (a *account) allowed() []stock.State {
	switch {
	case !a.cancelled:
		return []stock.State{stock.Deducted, stock.Rejected}
	case a.created:
		return []stock.State{stock.Released, stock.Rejected, stock.Voided}
	default:
		return []stock.State{stock.Voided}
	}
}

// answersTo are the outcomes of an order's creation and of its cancellation, by
// the state it came to.
var answersTo = map[stock.State]struct{ created, cancelled string }{
	stock.Deducted: {created: order.OutcomeDeducted},
	stock.Released: {created: order.OutcomeDeducted, cancelled: order.OutcomeReleased},
	stock.Rejected: {created: order.OutcomeRejected, cancelled: order.OutcomeRejected},
	stock.Voided:   {created: order.OutcomeVoided, cancelled: order.OutcomeVoided},
}

// checkOrders holds every order of the log against its row.
func (e *evidence) checkOrders(b *books, f *findings) {
	for id, a := range e.accounts {
		record, known := b.records[id]
		if !known {
			f.lose(a.events, "order %s is not in the ledger", id)
			continue
		}
		if a.unanswered > 0 {
			f.lose(a.unanswered, "order %s: %d of its %d events have no outcome", id, a.unanswered, a.events)
		}
		if !slices.Contains(a.allowed(), record.State) {
			f.wrong("order %s is %s, its events allow %v", id, record.State, a.allowed())
		}
		if a.created && record.State != stock.Voided && !slices.Equal(a.lines, record.Lines) {
			f.wrong("order %s asked for %v, the ledger has %v", id, a.lines, record.Lines)
		}
		want := answersTo[record.State]
		if a.toCreated != nil && a.toCreated.kind != want.created {
			f.wrong("order %s is %s, but its creation was answered %s", id, record.State, a.toCreated.kind)
		}
		if a.toCancel != nil && a.toCancel.kind != want.cancelled {
			f.wrong("order %s is %s, but its cancellation was answered %s", id, record.State, a.toCancel.kind)
		}
		if record.State == stock.Rejected && a.toCreated != nil {
			checkRejection(id, a, f)
		}
	}
}

// checkRejection: a shop that rejects everything loses nothing and oversells
// nothing. It must say of which goods there was less than the order asked for.
func checkRejection(id string, a *account, f *findings) {
	if len(a.toCreated.shortages) == 0 {
		f.wrong("order %s was rejected for no shortage", id)
	}
	for _, short := range a.toCreated.shortages {
		wanted := stock.Line{Goods: short.Goods, Num: short.Wanted}
		if !slices.Contains(a.lines, wanted) || short.Available >= short.Wanted {
			f.wrong("order %s was rejected because of %+v, but asked for %v", id, short, a.lines)
		}
	}
}

// checkOutcomes looks for outcomes of events that there are not.
func (e *evidence) checkOutcomes(f *findings) {
	if e.unsettled > 0 {
		return // the event may be among those
	}
	for id, a := range e.answers {
		if !a.asked {
			f.wrong("outcome %s answers event %s, which is not in the log or is dead", a.kind, id)
		}
	}
}

// checkLevels counts the stock anew: what was delivered, less what deducted
// orders asked for, is what there is.
func (e *evidence) checkLevels(b *books, delivered map[string]int64, f *findings) {
	sold := make(map[string]int64)
	for id, a := range e.accounts {
		if b.records[id].State != stock.Deducted {
			continue
		}
		for _, line := range a.lines {
			sold[line.Goods] += line.Num
		}
	}
	for goods, num := range sold {
		if over := num - delivered[goods]; over > 0 {
			f.sell(over, "%d of %s were sold, %d delivered", num, goods, delivered[goods])
		}
	}
	for goods, num := range delivered {
		level, known := b.levels[goods]
		if !known || level.Available != num-sold[goods] {
			f.wrong("%s: %d delivered, %d sold, %d there", goods, num, sold[goods], level.Available)
		}
	}
}

// checkLoad holds what was published against what the log says: every event is
// there, no good one is a dead letter, every broken one is.
func (e *evidence) checkLoad(l Load, f *findings) {
	n := 0
	times := make(map[string]int) // of an event id or of a broken value
	for item := range l.Workload.Events() {
		if n++; n > l.Sent {
			return
		}
		if item.Kind == workload.Broken {
			value := string(item.Value)
			if times[value]++; e.bodies[value] < times[value] {
				f.lose(1, "broken event %s is not among the dead letters with its bytes", item.Key)
			}
			continue
		}
		id := item.Event.ID
		if times[id]++; e.events[id] < times[id] {
			f.lose(1, "event %s of order %s was published and is not in the log", id, item.Key)
			continue
		}
		a := e.accounts[item.Event.OrderID]
		switch {
		case a == nil:
			f.wrong("order %s has no account: its event is dead", item.Key)
		case item.Kind == workload.Cancelled && !a.cancelled:
			f.wrong("the cancellation of order %s is dead", item.Key)
		case item.Kind == workload.Created && !slices.Equal(a.lines, item.Event.Lines):
			f.wrong("order %s was published with %v, its account has %v", item.Key, item.Event.Lines, a.lines)
		}
	}
}
