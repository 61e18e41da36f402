// Package audit holds the log and the ledger against each other: every event
// that the group has settled must have come to exactly one end, and every
// goods' level must be what its movements come to.
//
// # How it stays right while consumers run
//
// An event moves one way only: from the input through the retry tiers to the
// dead letters, and at any of these places into the ledger. So the audit looks
// in the same direction: first it asks how far the group has settled the input,
// then it reads what waits in each tier, then the dead letters, then the
// outcomes, and the ledger last. What was settled at the beginning is met at one
// of these places, wherever it has moved to meanwhile. What was not settled
// then is in flight, and no offence.
//
// # Memory
//
// Four bytes for each offset of the range in the input topic (0.4 GB for a
// hundred million events), and the events of a chunk for each partition; about 20
// for each order that has an event and no row. The ledger's own part takes about 100 bytes for each
// goods.
package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// Log is the part of the log client that an audit reads with.
type Log interface {
	// Positions tells how far the group has come in the topics.
	Positions(ctx context.Context, group string, topics []string) ([]kafka.Position, error)
	// Next are the messages at the positions.
	Next(ctx context.Context, positions []kafka.Position) ([]order.Message, error)
	// OffsetsAt are the first offsets of a moment.
	OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int]int64, error)
	// Scan reads ranges without joining a group.
	Scan(ctx context.Context, ranges []kafka.Range, visit func(order.Message) error) error
}

// Ledger is the part of the ledger that an audit reads.
type Ledger interface {
	// Records returns what is recorded about the orders that are known.
	Records(ctx context.Context, orders []string) (map[string]stock.Record, error)
	// Movements returns what is recorded under one reference.
	Movements(ctx context.Context, ref string) ([]stock.Movement, error)
	// Audit holds every row against the ledger's own promises.
	Audit(ctx context.Context, options stock.AuditOptions) (stock.Summary, error)
}

// Case says what is to be audited.
type Case struct {
	Log    Log
	Ledger Ledger
	Group  string
	Topics order.Topics
	// Former are retry topics of former settings, which the group reads too.
	Former []string
	// Range is the part of the input topic whose events are looked for.
	Range []kafka.Range
	// Since is when the range begins: what came of its events was appended since,
	// and nothing older is read of the other topics. Zero reads all of them.
	Since time.Time
	// Horizon is the dedup horizon: orders of older events may have been cleaned
	// up. Zero when none ever are.
	Horizon time.Duration
	Now     func() time.Time

	// Report is called for every finding, from one goroutine at a time.
	Report func(Finding)
	// Progress is called now and then, from one goroutine at a time.
	Progress func(Progress)
}

// Progress is how far an audit has come.
type Progress struct {
	Step  string // what is being read
	Read  int64  // messages or rows of it
	Total int64  // or zero when it is not known
}

// Summary says what an audit has seen.
type Summary struct {
	// Events in the range, by the end they have come to.
	Events  int64
	ByClass map[Class]int64
	// Applied are the events that were applied, by the state of their order.
	Applied map[stock.State]int64
	// Waiting are all messages that wait in each retry tier, also those whose
	// event is outside the range.
	Waiting map[string]int64
	// DeadLetters are all messages among the dead letters, Outcomes all outcomes
	// that were read.
	DeadLetters int64
	Outcomes    int64
	// Unasked events are older than the oldest outcome that the log still has:
	// whether they were answered cannot be told.
	Unasked int64
	// Gone are orders that name a place of the range at which their event does not
	// stand any more: compaction has taken it, or the topic was made anew and they
	// were decided before the oldest event of this one.
	Gone int64
	// Ledger is what the ledger says of itself.
	Ledger   stock.Summary
	Findings int64
	Took     time.Duration
}

// Clean reports that nothing was found.
func (s *Summary) Clean() bool { return s.Findings == 0 }

// auditor is one audit under way.
type auditor struct {
	Case
	summary Summary
	mu      sync.Mutex // of what follows and of the summary: scans come from several goroutines
	said    Progress

	sheets  map[int]*sheet // of the partitions of the range
	tiers   []string       // in the order in which events move
	answers time.Time      // when the oldest outcome was appended, if older ones were removed
	letters time.Time      // likewise of the dead letters

	unrecorded map[uint64]struct{} // orders with an event and without a row, by keyOf
}

// Run audits. The error is about what could not be read; what was found until
// then has been reported.
func Run(ctx context.Context, c Case) (Summary, error) {
	began := c.Now()
	a := &auditor{Case: c, sheets: make(map[int]*sheet), unrecorded: make(map[uint64]struct{})}
	a.summary.ByClass = make(map[Class]int64)
	a.summary.Applied = make(map[stock.State]int64)
	a.summary.Waiting = make(map[string]int64)
	a.tiers = append(a.tiers, c.Former...) // what fails in them goes on to the others
	for _, tier := range c.Topics.Tiers {
		a.tiers = append(a.tiers, tier.Topic)
	}
	var err error
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"positions of the group", a.positions}, {"retry tiers", a.waiting}, {"dead letters", a.dead},
		{"outcomes", a.outcomes}, {"events", a.events}, {"ledger", a.ledger},
	} {
		a.said = Progress{Step: step.name}
		if err = step.do(ctx); err != nil {
			err = fmt.Errorf("audit, %s: %w", step.name, err)
			break
		}
	}
	a.summary.Took = c.Now().Sub(began)
	return a.summary, err
}

// ErrOtherLog says that the group has been further in the log than the log goes.
var ErrOtherLog = errors.New("this is not the log that the database speaks of")

// positions asks how far the group has settled the range, and makes room for
// what is going to be known about it.
func (a *auditor) positions(ctx context.Context) error {
	positions, err := a.Log.Positions(ctx, a.Group, []string{a.Topics.Input})
	if err != nil {
		return err
	}
	settled := make(map[int]kafka.Position)
	for _, p := range positions {
		settled[p.Partition] = p
	}
	for _, r := range a.Range {
		p := settled[r.Partition]
		if p.Committed > p.End {
			return fmt.Errorf("%s/%d ends at %d, below the offset %d that the group has committed: %w",
				p.Topic, p.Partition, p.End, p.Committed, ErrOtherLog)
		}
		if p.Committed != kafka.NoCommit && p.Committed < p.First {
			a.find(Finding{Rule: RuleRemoved, At: stock.Origin{Topic: p.Topic, Partition: p.Partition, Offset: p.Committed},
				Detail: fmt.Sprintf("offsets %d to %d were removed before they were settled", p.Committed, p.First-1)})
		}
		a.sheets[r.Partition] = &sheet{from: r.From, settled: p.Committed, cells: make([]cell, r.Messages())}
	}
	return nil
}

// find reports what is not as it should be.
func (a *auditor) find(f Finding) {
	a.summary.Findings++
	if a.Report != nil {
		a.Report(f)
	}
}

// read counts what was read, and tells about it now and then. The caller holds
// the lock.
func (a *auditor) read(n, total int64) {
	const often = 10_000
	before := a.said.Read
	a.said.Read += n
	a.said.Total = total
	if a.Progress != nil && before/often != a.said.Read/often {
		a.Progress(a.said)
	}
}
