package stock

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Book is what a decision is made from: the part of the stock and of the known
// orders that one batch touches, read under locks. Deciding changes it, so that
// a later request of the batch sees what an earlier one did.
type Book struct {
	// Levels holds the available stock of every goods of the batch that is in
	// the catalogue. A goods that is missing here is unknown.
	Levels map[string]int64
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
	d := decider{
		book:    b,
		now:     moment(now),
		before:  make(map[string]int64, len(b.Levels)),
		written: make(map[string]write, len(reqs)),
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

// write says how an order's row gets to the table.
type write uint8

const (
	insert write = iota + 1
	update
)

// decider collects what one batch changes.
type decider struct {
	book      *Book
	now       time.Time
	before    map[string]int64 // level of each moved goods before the batch
	written   map[string]write
	movements []Movement
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
	} else {
		d.move(req.Order, KindDeduct, req.Lines)
	}
	d.keep(record, insert)
	return Decision{Verdict: Applied, Record: record}
}

// void leaves a tombstone for an order that was cancelled before it came.
func (d *decider) void(req *Request) Decision {
	record := d.record(req, Voided)
	d.keep(record, insert)
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
	d.move(record.Order, KindRelease, record.Lines)
	record.State, record.ReleasedAt = Released, d.now
	d.keep(record, update)
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
func (d *decider) keep(record Record, w write) {
	if d.book.Records == nil {
		d.book.Records = make(map[string]Record)
	}
	d.book.Records[record.Order] = record
	if d.written[record.Order] != insert {
		d.written[record.Order] = w
	}
}

// move changes the levels of all lines, downwards for a deduction.
func (d *decider) move(ref string, kind Kind, lines []Line) {
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
}

func (d *decider) changes() Changes {
	c := Changes{Movements: d.movements}
	slices.SortFunc(c.Movements, compareMovements)
	for _, order := range slices.Sorted(maps.Keys(d.written)) {
		if d.written[order] == insert {
			c.Inserted = append(c.Inserted, d.book.Records[order])
		} else {
			c.Updated = append(c.Updated, d.book.Records[order])
		}
	}
	for _, goods := range slices.Sorted(maps.Keys(d.before)) {
		if level := d.book.Levels[goods]; level != d.before[goods] {
			c.Levels = append(c.Levels, Level{Goods: goods, Available: level, UpdatedAt: d.now})
		}
	}
	return c
}

// compareMovements is the order of the movements' primary key.
func compareMovements(a, b Movement) int {
	return cmp.Or(
		cmp.Compare(a.Ref, b.Ref),
		cmp.Compare(a.Goods, b.Goods),
		cmp.Compare(a.Kind, b.Kind),
	)
}
