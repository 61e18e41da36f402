package sim

import (
	"slices"

	"orderconsumer/internal/stock"
)

// reference is the promise in the fewest words: every order once, taken whole or
// not at all, never more than there is. It shares no code with the product, and
// every transaction of the database is held against it as it commits.
type reference struct {
	levels map[string]int64
	orders map[string]*entry
}

type entry struct {
	state stock.State
	lines []stock.Line
}

func newReference() *reference {
	return &reference{levels: make(map[string]int64), orders: make(map[string]*entry)}
}

func (r *reference) deliver(lines []stock.Line) {
	for _, line := range lines {
		r.levels[line.Goods] += line.Num
	}
}

// apply follows one transaction and compares the answers, if there are any.
func (r *reference) apply(w *world, reqs []stock.Request, decisions []stock.Decision) {
	for i := range reqs {
		verdict, state := r.decide(&reqs[i])
		if decisions == nil {
			continue
		}
		d := &decisions[i]
		if d.Verdict != verdict || d.Verdict != stock.UnknownGoods && d.Record.State != state {
			w.wrong("order %s was decided %d %s, the reference says %d %s", reqs[i].Order, d.Verdict, d.Record.State, verdict, state)
		}
		if d.Verdict == stock.Applied && d.Record.State == stock.Rejected {
			r.checkShortages(w, d)
		}
	}
	for goods, level := range r.levels {
		if level < 0 {
			w.wrong("%s is oversold: %d", goods, level)
		}
	}
}

func (r *reference) decide(req *stock.Request) (stock.Verdict, stock.State) {
	e := r.orders[req.Order]
	switch {
	case req.Action == stock.Release && e == nil:
		r.orders[req.Order] = &entry{state: stock.Voided}
		return stock.Applied, stock.Voided
	case req.Action == stock.Release && e.state == stock.Deducted:
		r.move(e.lines, 1)
		e.state = stock.Released
		return stock.Applied, stock.Released
	case req.Action == stock.Release:
		return stock.Known, e.state
	case e != nil && e.state != stock.Voided && !slices.Equal(e.lines, req.Lines):
		return stock.Conflict, e.state
	case e != nil:
		return stock.Known, e.state
	}
	for _, line := range req.Lines {
		if _, known := r.levels[line.Goods]; !known {
			return stock.UnknownGoods, ""
		}
	}
	e = &entry{state: stock.Deducted, lines: slices.Clone(req.Lines)}
	for _, line := range req.Lines {
		if r.levels[line.Goods] < line.Num {
			e.state = stock.Rejected
		}
	}
	if e.state == stock.Deducted {
		r.move(req.Lines, -1)
	}
	r.orders[req.Order] = e
	return stock.Applied, e.state
}

func (r *reference) move(lines []stock.Line, sign int64) {
	for _, line := range lines {
		r.levels[line.Goods] += sign * line.Num
	}
}

// checkShortages: what a rejection says was there has to have been there. A
// later request of the same transaction may have moved the level since, so only
// too little counts.
func (r *reference) checkShortages(w *world, d *stock.Decision) {
	if len(d.Record.Shortages) == 0 {
		w.wrong("order %s was rejected for no shortage", d.Record.Order)
	}
	for _, short := range d.Record.Shortages {
		if short.Available < 0 || short.Available >= short.Wanted {
			w.wrong("order %s was rejected for %+v", d.Record.Order, short)
		}
	}
}

// check holds the rows that are there at the end against the reference.
func (r *reference) check(w *world, records map[string]stock.Record, levels map[string]stock.Level) {
	if len(records) != len(r.orders) {
		w.wrong("the ledger has %d of the orders, the reference %d", len(records), len(r.orders))
	}
	for id, e := range r.orders {
		if records[id].State != e.state {
			w.wrong("order %s is %q, the reference says %q", id, records[id].State, e.state)
		}
	}
	for goods, level := range r.levels {
		if levels[goods].Available != level {
			w.wrong("%d of %s are there, the reference says %d", levels[goods].Available, goods, level)
		}
	}
}
