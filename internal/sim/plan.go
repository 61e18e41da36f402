package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/workload"
)

// epoch is when the clock of every bubble begins.
var epoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// plan is everything a seed decides before the world begins.
type plan struct {
	seed uint64

	brokers    int
	partitions int
	instances  int
	workers    int
	batch      int
	lock       string        // off, optional or required
	granting   bool          // the lock is granted to everybody, always
	budget     time.Duration // how long goods are waited for
	timeout    time.Duration // of a transaction
	latency    time.Duration
	jitter     time.Duration // most that an instance rests at a point of the path

	load      workload.Config
	share     float64       // of the demand that is in stock
	late      int           // goods that come into the catalogue after orders for them
	pace      time.Duration // from the first event to the last
	strangers int           // orders for goods that never come
	conflicts int           // orders that come a second time with other goods
	again     float64       // share of the events that the shop publishes once more at the end

	faults []fault
}

// fault is one thing that goes wrong.
type fault struct {
	kind   string
	at     time.Duration // after the shop has opened
	lasts  time.Duration
	target int     // an instance or a broker, modulo how many there are
	chance float64 // of a request to be met, for faults that do not meet all
	point  crash.Point
	n      int // the passing of the point
}

func (f fault) String() string {
	text := fmt.Sprintf("%8.3fs %-18s for %s", f.at.Seconds(), f.kind, f.lasts)
	switch f.kind {
	case faultCrashAt:
		return fmt.Sprintf("%s, instance %d at %s:%d", text, f.target, f.point, f.n)
	default:
		return fmt.Sprintf("%s, target %d, chance %.2f", text, f.target, f.chance)
	}
}

// peacefulEvery is how often a world has no faults at all: what goes wrong in
// good weather would be lost among what goes wrong in bad.
const peacefulEvery = 16

// newPlan throws the dice. Neighbouring seeds share nothing but the kind of
// fault that they are sure to have, which goes round.
func newPlan(seed uint64) *plan {
	const stream = 0x51c0de
	dice := rand.New(rand.NewPCG(seed, stream))
	p := &plan{
		seed:       seed,
		brokers:    1 + dice.IntN(3),
		partitions: 1 + dice.IntN(4),
		instances:  1 + dice.IntN(3),
		workers:    pick(dice, 1, 1, 1, 2, 4),
		batch:      pick(dice, 1, 3, 20, 1000),
		lock:       pick(dice, "optional", "optional", "optional", "required", "off"),
		granting:   dice.IntN(6) == 0,
		budget:     pick(dice, 500*time.Millisecond, 2*time.Second, 10*time.Second),
		timeout:    pick(dice, 3*time.Second, 15*time.Second),
		latency:    time.Duration(pick(dice, 0, 0, 1, 5, 40)) * time.Millisecond,
		jitter:     time.Duration(pick(dice, 0, 2, 20, 200)) * time.Millisecond,
		share:      pick(dice, 0.3, 0.7, 1, 2),
		pace:       time.Duration(dice.IntN(12)) * time.Second,
		strangers:  pick(dice, 0, 0, 1, 3),
		conflicts:  pick(dice, 0, 0, 1, 3),
		again:      pick(dice, 0, 0, 0.2, 1),
	}
	goods := pick(dice, 1, 3, 12, 40)
	p.late = pick(dice, 0, 0, 1, goods/2)
	p.load = workload.Config{
		Orders:         20 + dice.IntN(100),
		Goods:          goods,
		Skew:           pick(dice, 0, 1.1, 2.5),
		DuplicateShare: pick(dice, 0, 0.1, 0.5),
		CancelShare:    pick(dice, 0, 0.1, 0.4),
		BrokenShare:    pick(dice, 0, 0.05, 0.2),
		Seed:           seed,
		Start:          epoch,
	}
	if seed%peacefulEvery != 0 {
		p.addFaults(dice)
		p.addCrash(dice)
		slices.SortStableFunc(p.faults, func(a, b fault) int { return int(a.at - b.at) })
	}
	if slices.ContainsFunc(p.faults, func(f fault) bool { return f.kind == faultClock }) {
		// Tiers are timed by the clocks of those who write to them and read from
		// them. One that is behind lets all of them pass at once, and an order that
		// waits for its goods then ends among the dead letters, as it should.
		p.late = 0
	}
	return p
}

func pick[T any](dice *rand.Rand, choices ...T) T { return choices[dice.IntN(len(choices))] }

// addFaults adds the kind whose turn it is, and some more.
func (p *plan) addFaults(dice *rand.Rand) {
	const most = 6
	kinds := []string{faultKinds[p.seed%uint64(len(faultKinds))]}
	for range dice.IntN(most) {
		kinds = append(kinds, pick(dice, faultKinds...))
	}
	for i, kind := range kinds {
		f := fault{
			kind:   kind,
			at:     time.Duration(dice.Int64N(int64(p.pace + 8*time.Second))).Truncate(time.Millisecond),
			lasts:  time.Duration(50+dice.IntN(6000)) * time.Millisecond,
			target: dice.IntN(p.instances),
			chance: 0.05 + 0.25*dice.Float64(),
			point:  pick(dice, crash.Points()...),
			n:      1 + dice.IntN(8),
		}
		if dice.IntN(4) == 0 {
			f.lasts *= 4 // longer than a session
		}
		if i == 0 {
			f.at /= 2 // while there is something to do
		}
		if kind == faultCrashAt {
			f.at /= 4
		}
		p.faults = append(p.faults, f)
	}
}

// crashEvery is how often a world is sure to have an instance die at a point of
// the path. The points go round, too.
const crashEvery = 3

func (p *plan) addCrash(dice *rand.Rand) {
	if p.seed%crashEvery != 1 {
		return
	}
	points := crash.Points()
	p.faults = append(p.faults, fault{
		kind:   faultCrashAt,
		at:     time.Duration(dice.IntN(1000)) * time.Millisecond,
		lasts:  time.Duration(1+dice.IntN(8)) * time.Second,
		target: dice.IntN(p.instances),
		point:  points[p.seed/crashEvery%uint64(len(points))],
		n:      1 + dice.IntN(8),
	})
}

// String describes the world, a line for each fault.
func (p *plan) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "seed %d: %d brokers, %d partitions, %d instances, %d workers, batches of %d, lock %s (granted to all: %t), latency %s, rests %s, goods waited for %s, transactions %s\n",
		p.seed, p.brokers, p.partitions, p.instances, p.workers, p.batch, p.lock, p.granting, p.latency, p.jitter, p.budget, p.timeout)
	fmt.Fprintf(&text, "  %d orders of %d goods (%d late) in %s, skew %g, stock for %g of the demand, duplicates %g, cancelled %g, broken %g, strangers %d, conflicts %d, published again %g\n",
		p.load.Orders, p.load.Goods, p.late, p.pace, p.load.Skew, p.share, p.load.DuplicateShare, p.load.CancelShare, p.load.BrokenShare,
		p.strangers, p.conflicts, p.again)
	for _, f := range p.faults {
		fmt.Fprintf(&text, "  %s\n", f)
	}
	return text.String()
}
