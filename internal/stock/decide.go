package stock

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Book is what a decision is made from: the part of the stock and of the known
// orders that one batch touches, as it is, or will be, under the batch's locks. Deciding changes it, so that
// a later request of the batch sees what an earlier one did.
type Book struct {
	// Levels holds the available stock of every goods of the batch that is in
	// the catalogue. A goods that is missing here is unknown.
	Levels map[string]int64
	// Versions holds the version that each of those levels had when it was read.
	// Deciding does not change it: a batch is one transaction, and so one version.
	Versions map[string]int64
	// Records holds the known orders of the batch.
	Records map[string]Record
}

// Changes is what a batch leaves to be written. Every slice is sorted by the
// primary key of its table and holds each row once, so that all instances lock
// and write in one order.
type Changes struct {
	Inserted  []Record   // orders that were not known before, in their final state
	Updated   []Record   // orders that were known and changed their state
	Movements []Movement // to be appended
	Created   []Level    // goods that were not in the catalogue before
	Levels    []Level    // goods whose level is another one now
}

// Empty reports that nothing is to be written.
func (c *Changes) Empty() bool {
	return len(c.Inserted) == 0 && len(c.Updated) == 0 && len(c.Movements) == 0 &&
		len(c.Created) == 0 && len(c.Levels) == 0
}

// Decide answers the requests in the order given: first come, first served, an
// order that is short of anything is rejected alone and the next one may still
// be served. The same order may appear more than once. The requests must have
// passed [Request.Check].
//
// It is a pure function of the book, the requests and now (which is kept in
// whole milliseconds): the same batch run again on the same book gives the same
// changes, which is what makes it safe to run a transaction again.
func (b *Book) Decide(reqs []Request, now time.Time) ([]Decision, Changes) {
	lines := 0
	for i := range reqs {
		lines += len(reqs[i].Lines)
	}
	d := decider{
		book:      b,
		now:       moment(now),
		before:    make(map[string]int64, len(b.Levels)),
		effects:   make([]effect, 0, len(reqs)),
		byOrder:   make(map[string]int, len(reqs)),
		movements: make([]Movement, 0, lines),
	}
	if b.Records == nil {
		b.Records = make(map[string]Record, len(reqs))
	}
	decisions := make([]Decision, len(reqs))
	for i := range reqs {
		record, known := b.Records[reqs[i].Order]
		switch {
		case reqs[i].Action == Release && known:
			decisions[i] = d.release(record)
		case reqs[i].Action == Release:
			decisions[i] = d.void(&reqs[i])
		case known:
			decisions[i] = repeat(record, reqs[i].Lines)
		default:
			decisions[i] = d.deduct(&reqs[i])
		}
	}
	return decisions, d.changes()
}

// effect is what a batch did to one order.
type effect struct {
	record   Record
	inserted bool // was not known before the batch
	// The order's movements. An order is taken once and given back once at most.
	taken, given span
}

// span is a run of movements, those of one step, in the order of their goods;
// empty when there was no such step.
type span struct{ first, end int }

// decider collects what one batch changes.
type decider struct {
	book      *Book
	now       time.Time
	before    map[string]int64 // level of each moved goods before the batch
	effects   []effect
	byOrder   map[string]int // index in effects
	movements []Movement     // in the order they happened
}

// repeat answers a deduction of an order that is known already. An order voided
// before it came has no lines to compare with: whatever it asks for, it was
// cancelled.
func repeat(record Record, lines []Line) Decision {
	if record.State != Voided && !slices.Equal(record.Lines, lines) {
		return Decision{Verdict: Conflict, Record: record}
	}
	return Decision{Verdict: Known, Record: record}
}

// deduct takes every line or nothing. Unknown goods come first: nothing may be
// recorded about such an order, because the catalogue may only be late.
func (d *decider) deduct(req *Request) Decision {
	var unknown []string
	var short []Shortage
	for _, line := range req.Lines {
		available, ok := d.book.Levels[line.Goods]
		switch {
		case !ok:
			unknown = append(unknown, line.Goods)
		case available < line.Num:
			short = append(short, Shortage{Goods: line.Goods, Wanted: line.Num, Available: available})
		}
	}
	if len(unknown) > 0 {
		return Decision{Verdict: UnknownGoods, Unknown: unknown}
	}
	record := d.record(req, Deducted)
	record.Lines = req.Lines
	if len(short) > 0 {
		record.State, record.Shortages = Rejected, short
		d.keep(record, true)
	} else {
		d.keep(record, true).taken = d.move(req.Order, KindDeduct, req.Lines)
	}
	return Decision{Verdict: Applied, Record: record}
}

// void leaves a tombstone for an order that was cancelled before it came.
func (d *decider) void(req *Request) Decision {
	record := d.record(req, Voided)
	d.keep(record, true)
	return Decision{Verdict: Applied, Record: record}
}

// release gives back what a deducted order took. In every other state there is
// nothing to give back.
func (d *decider) release(record Record) Decision {
	if record.State != Deducted {
		return Decision{Verdict: Known, Record: record}
	}
	// Goods are never removed from the catalogue. If a row was removed by hand,
	// giving back to a made-up level of zero would hide that.
	var unknown []string
	for _, line := range record.Lines {
		if _, ok := d.book.Levels[line.Goods]; !ok {
			unknown = append(unknown, line.Goods)
		}
	}
	if len(unknown) > 0 {
		return Decision{Verdict: UnknownGoods, Unknown: unknown}
	}
	record.State, record.ReleasedAt = Released, d.now
	d.keep(record, false).given = d.move(record.Order, KindRelease, record.Lines)
	return Decision{Verdict: Applied, Record: record}
}

func (d *decider) record(req *Request, state State) Record {
	return Record{
		Order:     req.Order,
		State:     state,
		Origin:    req.Origin,
		Attempts:  req.Attempt,
		DecidedAt: d.now,
	}
}

// keep makes the record the order's standing one. An order that is inserted and
// changed in one batch is still inserted once.
func (d *decider) keep(record Record, inserted bool) *effect {
	d.book.Records[record.Order] = record
	i, again := d.byOrder[record.Order]
	if !again {
		i = len(d.effects)
		d.byOrder[record.Order] = i
		d.effects = append(d.effects, effect{inserted: inserted})
	}
	d.effects[i].record = record
	return &d.effects[i]
}

// move changes the levels of all lines, downwards for a deduction.
func (d *decider) move(ref string, kind Kind, lines []Line) span {
	first := len(d.movements)
	for _, line := range lines {
		delta := line.Num
		if kind == KindDeduct {
			delta = -delta
		}
		level := d.book.Levels[line.Goods]
		if _, moved := d.before[line.Goods]; !moved {
			d.before[line.Goods] = level
		}
		level += delta
		d.book.Levels[line.Goods] = level
		d.movements = append(d.movements, Movement{
			Ref: ref, Goods: line.Goods, Kind: kind, Delta: delta, Balance: level, At: d.now,
		})
	}
	return span{first, len(d.movements)}
}

// changes brings everything into the order of the keys. Movements are taken over
// in runs: sorting them one by one costs more than the decisions did.
func (d *decider) changes() Changes {
	var c Changes
	if len(d.movements) > 0 {
		c.Movements = make([]Movement, 0, len(d.movements))
	}
	for done, i := range d.sorted() {
		e := &d.effects[i]
		if e.inserted {
			if c.Inserted == nil {
				c.Inserted = make([]Record, 0, len(d.effects)-done)
			}
			c.Inserted = append(c.Inserted, e.record)
		} else {
			c.Updated = append(c.Updated, e.record)
		}
		mine := len(c.Movements)
		c.Movements = append(c.Movements, d.movements[e.taken.first:e.taken.end]...)
		c.Movements = append(c.Movements, d.movements[e.given.first:e.given.end]...)
		if e.taken != (span{}) && e.given != (span{}) {
			slices.SortFunc(c.Movements[mine:], compareMovements)
		}
	}
	goods := slices.AppendSeq(make([]string, 0, len(d.before)), maps.Keys(d.before))
	slices.Sort(goods)
	for _, g := range goods {
		if level := d.book.Levels[g]; level != d.before[g] {
			c.Levels = append(c.Levels, Level{Goods: g, Available: level, UpdatedAt: d.now, Version: d.book.Versions[g] + 1})
		}
	}
	return c
}

// sorted returns the places of the effects by order. (The effects are large.)
func (d *decider) sorted() []int {
	places := make([]int, len(d.effects))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(a, b int) int {
		return strings.Compare(d.effects[a].record.Order, d.effects[b].record.Order)
	})
	return places
}

// compareMovements is the order of the movements' primary key.
func compareMovements(a, b Movement) int {
	return cmp.Or(
		cmp.Compare(a.Ref, b.Ref),
		cmp.Compare(a.Goods, b.Goods),
		cmp.Compare(a.Kind, b.Kind),
	)
}
