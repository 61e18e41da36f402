package workload

import (
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"orderconsumer/internal/stock"
)

const (
	// laterMost is how many orders at most lie between an event and its
	// duplicate or cancellation: more than a consumer keeps in memory, so that
	// some of them meet a row in the database and others a batch in flight.
	laterMost = 5000
	// cancelledFirst is the share of the cancellations that come before their
	// order is created, by earlyBy orders.
	cancelledFirst = 0.1
	earlyBy        = 20
)

// never is the delay of what does not happen.
const never = -1

// plan is what happens to one order, and beside it.
type plan struct {
	duplicate int  // how many orders later it is sent again, or never
	cancel    int  // how many orders later it is cancelled, or never
	early     bool // it is cancelled earlyBy orders before it is created
	broken    bool // a broken event follows
}

// Cancellation says when an order is cancelled; 0: it stands.
type Cancellation uint8

const (
	// CancelledAfter: the cancellation is sent after the order.
	CancelledAfter Cancellation = iota + 1
	// CancelledBefore: the cancellation is sent before the order.
	CancelledBefore
)

// Order is the truth about one order of the workload.
type Order struct {
	ID string
	// Lines are sorted by goods, each goods once.
	Lines      []stock.Line
	Cancelled  Cancellation
	Duplicated bool
}

// Orders yields the truth about every order, in the order of creation.
func (w *Workload) Orders() iter.Seq[Order] {
	return func(yield func(Order) bool) {
		var d dice
		for i := range w.cfg.Orders {
			p := w.plan(&d, i)
			o := Order{ID: w.orderID(i), Lines: w.lines(&d), Duplicated: p.duplicate != never}
			switch {
			case p.early:
				o.Cancelled = CancelledBefore
			case p.cancel != never:
				o.Cancelled = CancelledAfter
			}
			if !yield(o) {
				return
			}
		}
	}
}

// orderID is the prefix and eight digits, counted from one.
func (w *Workload) orderID(i int) string {
	return w.cfg.OrderPrefix + padded(i+1)
}

func padded(n int) string {
	return strconv.Itoa(MaxOrders + n)[1:]
}

// placedAt is when an order is placed, by the shop's clock.
func (w *Workload) placedAt(i int) time.Time {
	return w.cfg.Start.Add(time.Duration(i) * orderEvery)
}

// dice is the chance of one order: nothing but the seed and the order's number
// go into it.
type dice struct {
	pcg  rand.PCG
	rand *rand.Rand
	// taken says in which order each goods was taken last, counted by turn: an
	// order of five hundred goods asks for one more of them thousands of times.
	taken []int
	turn  int
}

// throw begins order i.
func (d *dice) throw(seed uint64, i int) *rand.Rand {
	if d.rand == nil {
		d.rand = rand.New(&d.pcg)
	}
	// Neighbours of a linear generator begin alike: mix the number first.
	d.pcg.Seed(mix(seed), mix(seed^mix(uint64(i)+1)))
	return d.rand
}

// mix is the finalizer of SplitMix64: a change of one bit changes half of them.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// plan throws the dice for order i. What is asked of the same dice next is
// what the order's lines are made of: all who want both must ask in this order.
func (w *Workload) plan(d *dice, i int) plan {
	r := d.throw(w.cfg.Seed, i)
	p := plan{duplicate: never, cancel: never}
	if r.Float64() < w.cfg.DuplicateShare {
		p.duplicate = delay(r)
	}
	if r.Float64() < w.cfg.CancelShare {
		p.cancel = delay(r)
		p.early = r.Float64() < cancelledFirst
	}
	p.broken = r.Float64() < w.cfg.BrokenShare
	return p
}

// delay is none for one half, and anything up to laterMost for the other.
func delay(r *rand.Rand) int {
	if r.Uint64()&1 == 0 {
		return 0
	}
	return 1 + r.IntN(laterMost)
}

// lines are what the order asks for; the dice have just been asked for its
// plan.
func (w *Workload) lines(d *dice) []stock.Line {
	r := d.rand
	count := w.cfg.LinesMin + r.IntN(w.cfg.LinesMax-w.cfg.LinesMin+1)
	count = min(count, w.cfg.Goods)
	lines := make([]stock.Line, count)
	if d.taken == nil {
		d.taken = make([]int, len(w.goods))
	}
	d.turn++
	for i := range lines {
		k := w.another(d)
		d.taken[k] = d.turn
		lines[i] = stock.Line{Goods: w.goods[k], Num: 1 + r.Int64N(int64(w.cfg.NumMax))}
	}
	slices.SortFunc(lines, func(a, b stock.Line) int { return strings.Compare(a.Goods, b.Goods) })
	return lines
}

// drawsMost is how often a goods is drawn before the next free one is taken:
// where one goods is nearly all there is to want, drawing could go on for ever.
const drawsMost = 8

// another draws a goods that the order does not have yet.
func (w *Workload) another(d *dice) int {
	k := w.choice.draw(d.rand)
	for range drawsMost {
		if d.taken[k] != d.turn {
			return k
		}
		k = w.choice.draw(d.rand)
	}
	for d.taken[k] == d.turn {
		k = (k + 1) % len(w.goods)
	}
	return k
}
