package stock

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Book is what a decision is made from: the part of the stock and of the known
// orders that one batch touches, as it is, or will be, under the batch's locks.
type Book struct {
	// Levels holds the available stock of every goods of the batch that is in
	// the catalogue. A goods that is missing here is unknown. Deciding leaves here
	// what is available after the batch.
	Levels map[string]int64
	// Versions holds the version that each of those levels had when it was read.
	// Deciding does not change it: a batch is one transaction, and so one version.
	Versions map[string]int64
	// Records holds the known orders of the batch. Deciding does not change it: what
	// becomes of orders is in [Changes].
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
	d := newDecider(b, reqs, moment(now))
	for i := range reqs {
		record, known := d.standing(reqs[i].Order)
		switch answer := &d.decisions[i]; {
		case reqs[i].Action == Release && known:
			d.release(answer, record)
		case reqs[i].Action == Release:
			d.void(answer, &reqs[i])
		case known:
			*answer = repeat(record, reqs[i].Lines)
		default:
			d.deduct(answer, &reqs[i])
		}
	}
	return d.decisions, d.changes()
}

// effect is what a batch did to one order.
type effect struct {
	record   *Record // its standing one, which is in the last decision that changed it
	inserted bool    // was not known before the batch
	// The order's movements. An order is taken once and given back once at most.
	taken, given span
}

// span is a run of movements, those of one step, in the order of their goods;
// empty when there was no such step.
type span struct{ first, end int }

// count is how much there is of one goods while a batch is decided.
type count struct {
	goods       string
	before, now int64
}

// decider collects what one batch changes. A batch has thousands of orders, and deciding
// holds up those behind it: records are kept once, in the answers, and each line looks its goods up once.
type decider struct {
	book      *Book
	now       time.Time
	decisions []Decision // one a request
	counts    []count    // of the goods that were asked for
	byGoods   map[string]int
	places    []int // in counts, of the lines of the request at hand
	effects   []effect
	byOrder   map[string]int
	movements []Movement // in the order they happened
}

func newDecider(b *Book, reqs []Request, now time.Time) *decider {
	lines := 0
	for i := range reqs {
		lines += len(reqs[i].Lines)
	}
	return &decider{
		book:      b,
		now:       now,
		decisions: make([]Decision, len(reqs)),
		counts:    make([]count, 0, len(b.Levels)),
		byGoods:   make(map[string]int, len(b.Levels)),
		effects:   make([]effect, 0, len(reqs)),
		byOrder:   make(map[string]int, len(reqs)),
		movements: make([]Movement, 0, lines),
	}
}

// standing is what is known of an order, with what the batch has made of it.
func (d *decider) standing(order string) (record Record, known bool) {
	if i, ok := d.byOrder[order]; ok {
		return *d.effects[i].record, true
	}
	record, known = d.book.Records[order]
	return record, known
}

// find leaves in places where the goods of lines are counted, and returns those that are not in
// the catalogue.
func (d *decider) find(lines []Line) (unknown []string) {
	d.places = d.places[:0]
	for _, line := range lines {
		place, ok := d.byGoods[line.Goods]
		if !ok {
			level, listed := d.book.Levels[line.Goods]
			if !listed {
				unknown = append(unknown, line.Goods)
				continue
			}
			place = len(d.counts)
			d.byGoods[line.Goods] = place
			d.counts = append(d.counts, count{goods: line.Goods, before: level, now: level})
		}
		d.places = append(d.places, place)
	}
	return unknown
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
func (d *decider) deduct(answer *Decision, req *Request) {
	if unknown := d.find(req.Lines); len(unknown) > 0 {
		*answer = Decision{Verdict: UnknownGoods, Unknown: unknown}
		return
	}
	var short []Shortage
	for i, line := range req.Lines {
		if available := d.counts[d.places[i]].now; available < line.Num {
			short = append(short, Shortage{Goods: line.Goods, Wanted: line.Num, Available: available})
		}
	}
	d.insert(answer, req, Deducted)
	answer.Record.Lines = req.Lines
	if len(short) > 0 {
		answer.Record.State, answer.Record.Shortages = Rejected, short
		return
	}
	d.effects[len(d.effects)-1].taken = d.move(req.Order, KindDeduct, req.Lines)
}

// void leaves a tombstone for an order that was cancelled before it came.
func (d *decider) void(answer *Decision, req *Request) {
	d.insert(answer, req, Voided)
}

// insert answers with a record of an order that was not known.
func (d *decider) insert(answer *Decision, req *Request, state State) {
	answer.Verdict = Applied
	answer.Record = Record{
		Order:     req.Order,
		State:     state,
		Origin:    req.Origin,
		Attempts:  req.Attempt,
		DecidedAt: d.now,
	}
	d.byOrder[req.Order] = len(d.effects)
	d.effects = append(d.effects, effect{record: &answer.Record, inserted: true})
}

// release gives back what a deducted order took. In every other state there is
// nothing to give back.
func (d *decider) release(answer *Decision, record Record) {
	if record.State != Deducted {
		*answer = Decision{Verdict: Known, Record: record}
		return
	}
	// Goods are never removed from the catalogue. If a row was removed by hand,
	// giving back to a made-up level of zero would hide that.
	if unknown := d.find(record.Lines); len(unknown) > 0 {
		*answer = Decision{Verdict: UnknownGoods, Unknown: unknown}
		return
	}
	record.State, record.ReleasedAt = Released, d.now
	*answer = Decision{Verdict: Applied, Record: record}
	i, again := d.byOrder[record.Order]
	if !again {
		i = len(d.effects)
		d.byOrder[record.Order] = i
		d.effects = append(d.effects, effect{})
	}
	d.effects[i].record = &answer.Record // one that the batch has inserted still is inserted, once
	d.effects[i].given = d.move(record.Order, KindRelease, record.Lines)
}

// move changes the levels of all lines, which were found, downwards for a deduction.
func (d *decider) move(ref string, kind Kind, lines []Line) span {
	first := len(d.movements)
	for i, line := range lines {
		delta := line.Num
		if kind == KindDeduct {
			delta = -delta
		}
		c := &d.counts[d.places[i]]
		c.now += delta
		d.movements = append(d.movements, Movement{
			Ref: ref, Goods: line.Goods, Kind: kind, Delta: delta, Balance: c.now, At: d.now,
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
			c.Inserted = append(c.Inserted, *e.record)
		} else {
			c.Updated = append(c.Updated, *e.record)
		}
		mine := len(c.Movements)
		c.Movements = append(c.Movements, d.movements[e.taken.first:e.taken.end]...)
		c.Movements = append(c.Movements, d.movements[e.given.first:e.given.end]...)
		if e.taken != (span{}) && e.given != (span{}) {
			slices.SortFunc(c.Movements[mine:], compareMovements)
		}
	}
	c.Levels = d.levels()
	return c
}

// levels leaves the new ones in the book and returns them, in the order of their goods.
func (d *decider) levels() []Level {
	var levels []Level
	for _, c := range d.counts {
		if c.now != c.before {
			d.book.Levels[c.goods] = c.now
			levels = append(levels, Level{Goods: c.goods, Available: c.now, UpdatedAt: d.now, Version: d.book.Versions[c.goods] + 1})
		}
	}
	slices.SortFunc(levels, func(a, b Level) int { return strings.Compare(a.Goods, b.Goods) })
	return levels
}

// sorted returns the places of the effects by order.
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
