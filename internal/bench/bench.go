package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"orderconsumer/internal/workload"
)

// Options say how much is measured.
type Options struct {
	// Orders of a row, of one that works on them one by one, of the backlog.
	Orders         int
	TextbookOrders int
	BacklogOrders  int
	// Rounds is how often each row is measured. Ratios are of neighbours in
	// one round, and the median over the rounds is reported.
	Rounds int
	// LatencyFor is how long a load lasts, LatencyWarm how long before that it
	// begins.
	LatencyFor, LatencyWarm time.Duration
	Seed                    uint64
	// Profiles is a folder for a CPU profile of each measurement; empty for
	// none.
	Profiles string
}

// Bench measures rows.
type Bench struct {
	world    *World
	options  Options
	ceilings map[string]Ceiling // found, by shape and delay
	records  map[string]*record
}

// record is what was measured of one row so far.
type record struct {
	row        Row
	runs       []Run // by round
	statements []Statement
	void       error
}

// New returns a benchmark in a world.
func New(world *World, options Options) *Bench {
	return &Bench{
		world:    world,
		options:  options,
		ceilings: make(map[string]Ceiling),
		records:  make(map[string]*record),
	}
}

// Run measures the rows, in rounds. A row that fails is void and does not keep
// the others from being measured; the error is about ctx alone.
func (b *Bench) Run(ctx context.Context, rows []Row) error {
	b.warm(ctx, rows)
	for round := range b.options.Rounds {
		list := slices.Clone(rows)
		if round%2 == 1 {
			// What the machine does to the later of two neighbours it does to
			// the other one in the next round. What needs another row's figure
			// is measured in the first round.
			slices.Reverse(list)
		}
		for _, row := range list {
			if round > 0 && row.Once {
				continue
			}
			b.measure(ctx, row, round)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

// warm has one run go by unmeasured, if there is any that reads a log. A broker
// that has just been started has none of its code compiled yet and takes four times
// the processor time for an order, which whatever is measured first would pay for.
func (b *Bench) warm(ctx context.Context, rows []Row) {
	if !slices.ContainsFunc(rows, func(row Row) bool { return row.Way != WayCeiling }) {
		return
	}
	run, _, err := b.try(ctx, Row{Name: "warm-up", Shape: standard, Way: WayOurs}, 0)
	if err != nil {
		b.world.say("%-32s failed, the rows say why: %v", "warm-up", err)
		return
	}
	b.world.say("%-32s %8.0f orders/s, does not count", "warm-up", run.Rate())
}

// measure measures one row once.
func (b *Bench) measure(ctx context.Context, row Row, round int) {
	r := b.records[row.Name]
	if r == nil {
		r = &record{row: row}
		b.records[row.Name] = r
	}
	if r.void != nil {
		return
	}
	run, statements, err := b.try(ctx, row, round)
	if ctx.Err() != nil {
		return // told to stop: not the row's fault
	}
	if err != nil {
		r.void = err
		b.world.say("%-32s void: %v", row.Name, err)
		return
	}
	r.runs, r.statements = append(r.runs, run), statements
	b.world.say("%-32s %8.0f orders/s, %d orders in %s", row.Name, run.Rate(), run.Events, run.Took.Round(time.Millisecond))
}

// try makes what the row needs, has it measured and audited, and removes it.
func (b *Bench) try(ctx context.Context, row Row, round int) (_ Run, _ []Statement, err error) {
	spec := Spec{
		Way:       row.Way,
		Servers:   b.world.servers,
		Processes: b.world.processes,
		Load:      b.load(row),
		Ours:      row.Ours,
	}
	spec.Events = spec.Load.Orders
	if row.Way == WayLatency {
		err := b.offer(row, &spec)
		if err != nil {
			return Run{}, nil, err
		}
	}
	if row.Way == WayCeiling {
		spec.Ceiling, err = b.fastest(ctx, row, spec)
		if err != nil {
			return Run{}, nil, err
		}
	}
	if b.options.Profiles != "" {
		name := fmt.Sprintf("%s.%d.pprof", strings.ReplaceAll(row.Name, "/", "-"), round+1)
		spec.Profile = filepath.Join(b.options.Profiles, name)
	}
	return b.world.run(ctx, spec, row)
}

// load is the workload of a row.
func (b *Bench) load(row Row) workload.Config {
	config := row.Shape.load
	config.Seed, config.Orders = b.options.Seed, b.options.Orders
	switch {
	case row.Backlog:
		config.Orders = b.options.BacklogOrders
	case row.Way == WayTextbook || row.Way == WayPerGoods:
		config.Orders = b.options.TextbookOrders
	}
	return config
}

// offer makes the load that a latency row is offered.
func (b *Bench) offer(row Row, spec *Spec) error {
	top := b.records[fastest]
	if top == nil || top.void != nil || len(top.runs) == 0 {
		return fmt.Errorf("the maximum, %s, was not measured", fastest)
	}
	spec.Latency = Latency{
		Rate: row.Load * top.runs[0].Rate(),
		Warm: b.options.LatencyWarm, Record: b.options.LatencyFor,
	}
	spec.Load.Orders = max(1, int(spec.Latency.Rate*(b.options.LatencyWarm+b.options.LatencyFor).Seconds()))
	spec.Events = spec.Load.Orders + 1 // and the one that wakes the consumer
	return nil
}

// What a search for the fastest ceiling tries. A transaction of more than a
// few thousand requests gains nothing, and holds its rows for the longer; on
// more connections than there are processors transactions only wait, unless it
// is for the network.
var (
	triedBatches     = []int{1000, 500, 250, 2000, 4000}
	triedConnections = []int{1, 2, 4}
	triedFarAway     = []int{2, 4, 8}
)

// fastest is how the database is spoken to best. It is looked for once.
func (b *Bench) fastest(ctx context.Context, row Row, spec Spec) (Ceiling, error) {
	key := row.Shape.Name + row.Delay.String()
	if c, ok := b.ceilings[key]; ok {
		return c, nil
	}
	connections := triedConnections
	if row.Delay > 0 {
		connections = triedFarAway
	}
	for _, n := range connections {
		for _, batch := range triedBatches {
			spec.Tried = append(spec.Tried, Ceiling{Batch: batch, Connections: n})
		}
	}
	b.world.say("%-32s looking for the best batches and connections", row.Name)
	spec.Way = WaySearch
	run, _, err := b.world.run(ctx, spec, row)
	if err != nil {
		return Ceiling{}, err
	}
	b.ceilings[key] = run.Ceiling
	return run.Ceiling, nil
}
