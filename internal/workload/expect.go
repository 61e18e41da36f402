package workload

import (
	"iter"
	"math"
	"slices"
	"strings"

	"orderconsumer/internal/stock"
)

// Expect is what the workload comes to.
type Expect struct {
	// Orders are distinct orders created, Duplicates second sendings of them,
	// Broken broken events. Cancelled are orders that are cancelled, of which
	// CancelledFirst before they are created.
	Orders         int
	Duplicates     int
	Cancelled      int
	CancelledFirst int
	Broken         int
	// Demand is how many of each goods the distinct orders ask for, whatever
	// becomes of them. Goods that nobody asks for are in it with zero.
	Demand map[string]int64
}

// Events is the number of messages in all.
func (e Expect) Events() int { return e.Orders + e.Duplicates + e.Cancelled + e.Broken }

// Expect counts the workload out. It takes a fraction of the time of Events
// and no memory but the demand.
func (w *Workload) Expect() Expect {
	e := Expect{Orders: w.cfg.Orders, Demand: make(map[string]int64, len(w.goods))}
	for _, goods := range w.goods {
		e.Demand[goods] = 0
	}
	var d dice
	for i := range w.cfg.Orders {
		p := w.plan(&d, i)
		if p.duplicate != never {
			e.Duplicates++
		}
		if p.cancel != never {
			e.Cancelled++
		}
		if p.early {
			e.CancelledFirst++
		}
		if p.broken {
			e.Broken++
		}
		for _, line := range w.lines(&d) {
			e.Demand[line.Goods] += line.Num
		}
	}
	return e
}

// BrokenItems yields the broken events, as Events does.
func (w *Workload) BrokenItems() iter.Seq[Item] {
	return func(yield func(Item) bool) {
		var d dice
		n := 0
		for i := range w.cfg.Orders {
			if !w.plan(&d, i).broken {
				continue
			}
			if !yield(w.brokenItem(n)) {
				return
			}
			n++
		}
	}
}

// Stock is a first stock of every goods that covers share of its demand (0.6:
// four of ten that are wanted are not there), rounded up and at least one.
// Lines are sorted by goods.
func (e Expect) Stock(share float64) []stock.Line {
	lines := make([]stock.Line, 0, len(e.Demand))
	for goods, demand := range e.Demand {
		num := max(1, int64(math.Ceil(share*float64(demand))))
		lines = append(lines, stock.Line{Goods: goods, Num: num})
	}
	slices.SortFunc(lines, func(a, b stock.Line) int { return strings.Compare(a.Goods, b.Goods) })
	return lines
}
