package bench

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"orderconsumer/internal/workload"
)

// Shape is a kind of workload.
type Shape struct {
	Name  string
	About string
	load  workload.Config
}

// The shapes. One and the same seed gives every way the same orders.
var (
	standard    = Shape{Name: "standard", About: "1,000 goods, Zipf 1.1, 1-3 lines", load: workload.Config{Goods: 1000, Skew: 1.1}}
	hotGoods    = Shape{Name: "hot-goods", About: "one goods", load: workload.Config{Goods: 1}}
	manyGoods   = Shape{Name: "many-goods", About: "100,000 goods, Zipf 1.1, 1-3 lines", load: workload.Config{Goods: 100_000, Skew: 1.1}}
	largeOrders = Shape{Name: "large-orders", About: "1,000 goods, Zipf 1.1, 5-20 lines", load: workload.Config{Goods: 1000, Skew: 1.1, LinesMin: 5, LinesMax: 20}}
	disjoint    = Shape{Name: "disjoint", About: "100,000 goods, all wanted alike, 1-3 lines", load: workload.Config{Goods: 100_000}}
)

// networkDelay is the delay each way of the rows with a network in between.
const networkDelay = time.Millisecond

// smallBatch is a transaction short enough for the network, not the database,
// to be most of it.
const smallBatch = 100

// Row is one line of the report.
type Row struct {
	// Name is stable: rows are chosen by it.
	Name  string
	Shape Shape
	Way   Way
	Ours  Ours
	// Delay is a network's, each way, before Redis and the database.
	Delay time.Duration
	// Load is the share of the measured maximum that a latency row offers.
	Load float64
	// Base is the row that this one is to scale from; empty for none.
	Base string
	// Once: the row is measured in the first round alone.
	Once bool
	// Backlog: the row has the backlog's orders.
	Backlog bool
	Goals   []Goal
}

// fastest is the row whose rate is the maximum that loads are shares of.
const fastest = "ours/1-instance"

// Rows are all rows, each after those it needs. Within a shape they are
// measured one after the other, so that a ratio is of neighbours.
func Rows() []Row {
	rows := standardRows()
	for _, shape := range []Shape{hotGoods, manyGoods, largeOrders} {
		ours := Row{Name: "ours/" + shape.Name, Shape: shape, Way: WayOurs}
		if shape.Name == hotGoods.Name {
			ours.Goals = []Goal{atLeast(RatioToCeiling, 0.9)}
		}
		rows = append(rows,
			Row{Name: "ceiling/" + shape.Name, Shape: shape, Way: WayCeiling},
			ours,
			Row{Name: "textbook/" + shape.Name, Shape: shape, Way: WayTextbook, Once: true},
			Row{Name: "per-goods/" + shape.Name, Shape: shape, Way: WayPerGoods, Once: true},
		)
	}
	rows = append(rows, delayRows()...)
	for _, percent := range []int{10, 50, 80} {
		row := Row{
			Name: fmt.Sprintf("latency/%d-percent", percent), Shape: standard, Way: WayLatency,
			Load: float64(percent) / 100, Once: true,
		}
		if percent == 50 {
			row.Goals = []Goal{atMost(P99Millis, 50)}
		}
		rows = append(rows, row)
	}
	return append(rows, Row{
		Name: "backlog/catch-up", Shape: standard, Way: WayOurs, Once: true, Backlog: true,
		Goals: []Goal{atMost(PeakMiB, 128)},
	})
}

func standardRows() []Row {
	return []Row{
		{Name: "ceiling/standard", Shape: standard, Way: WayCeiling},
		{Name: fastest, Shape: standard, Way: WayOurs, Goals: []Goal{
			atLeast(RatioToTextbook, 60).aiming(80), atLeast(RatioToCeiling, 0.8).aiming(0.95), atMost(ConsumerToDatabase, 0.35),
		}},
		{Name: "ours/4-instances", Shape: standard, Way: WayOurs, Ours: Ours{Instances: 4}, Base: fastest,
			Goals: []Goal{atLeast(RatioToBase, 0.95)}},
		{Name: "ours/2-instances", Shape: standard, Way: WayOurs, Ours: Ours{Instances: 2}, Base: fastest},
		{Name: "ours/lock-off", Shape: standard, Way: WayOurs, Ours: Ours{Lock: "off"}, Base: fastest},
		{Name: "ours/4-instances-lock-off", Shape: standard, Way: WayOurs, Ours: Ours{Instances: 4, Lock: "off"}, Base: fastest},
		{Name: "textbook/standard", Shape: standard, Way: WayTextbook},
		{Name: "per-goods/standard", Shape: standard, Way: WayPerGoods},
	}
}

// delayRows are orders of disjoint goods over a slow network. With the
// default batch the database's work hides most of the waiting; the rows with
// small batches show what more workers and instances do about it.
func delayRows() []Row {
	row := func(name string, way Way, ours Ours) Row {
		return Row{Name: "delay/" + name, Shape: disjoint, Way: way, Ours: ours, Delay: networkDelay}
	}
	rows := []Row{
		row("ceiling", WayCeiling, Ours{}),
		row("textbook", WayTextbook, Ours{}),
		row("per-goods", WayPerGoods, Ours{}),
	}
	for i := range rows[1:] {
		rows[i+1].Once = true
	}
	for _, batch := range []int{0, smallBatch} {
		suffix := ""
		if batch > 0 {
			suffix = fmt.Sprintf("-batch-%d", batch)
		}
		base := row("1-worker"+suffix, WayOurs, Ours{Workers: 1, BatchSize: batch})
		four := row("4-workers"+suffix, WayOurs, Ours{Workers: 4, BatchSize: batch})
		four.Goals = []Goal{atLeast(RatioToBase, 2.5)}
		scaled := []Row{
			four,
			row("2-workers"+suffix, WayOurs, Ours{Workers: 2, BatchSize: batch}),
			row("2-instances"+suffix, WayOurs, Ours{Instances: 2, Workers: 1, BatchSize: batch}),
			row("4-instances"+suffix, WayOurs, Ours{Instances: 4, Workers: 1, BatchSize: batch}),
		}
		for i := range scaled {
			scaled[i].Base = base.Name
		}
		rows = append(append(rows, base), scaled...)
	}
	return rows
}

// Choose are the rows whose name matches, and the one that loads are measured
// against where there is a row with a load.
func Choose(rows []Row, pattern string) ([]Row, error) {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	loaded := slices.ContainsFunc(rows, func(r Row) bool { return r.Load > 0 && match.MatchString(r.Name) })
	var chosen []Row
	for _, r := range rows {
		if match.MatchString(r.Name) || loaded && r.Name == fastest {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no row matches %q", pattern)
	}
	return chosen, nil
}
