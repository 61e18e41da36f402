package bench

import (
	"slices"
	"time"
)

// Result is what is reported of one row. Members that were not measured are
// left out.
type Result struct {
	Row    string `json:"row"`
	Shape  string `json:"shape"`
	About  string `json:"about"`
	Orders int    `json:"orders"`
	Rounds int    `json:"rounds"`
	// OrdersPerSecond is the median over the rounds, each of which is in Rates.
	OrdersPerSecond float64   `json:"orders_per_second"`
	Rates           []float64 `json:"rates"`
	// The ratios are medians of the ratios within each round: to the textbook
	// and to the database alone on the same shape, and to the row named Base.
	RatioToTextbook float64 `json:"ratio_to_textbook,omitzero"`
	RatioToCeiling  float64 `json:"ratio_to_ceiling,omitzero"`
	Base            string  `json:"base,omitzero"`
	RatioToBase     float64 `json:"ratio_to_base,omitzero"`
	// CPU is in microseconds an order.
	CPU                *Cost       `json:"cpu_us_per_order,omitzero"`
	ConsumerToDatabase float64     `json:"cpu_consumer_to_database,omitzero"`
	PeakMiB            float64     `json:"peak_memory_mib,omitzero"`
	Ceiling            *Ceiling    `json:"best,omitzero"`
	Latency            *Times      `json:"latency,omitzero"`
	Statements         []Statement `json:"statements,omitzero"`
	Goals              []Judged    `json:"goals"`
	Verdict            Verdict     `json:"verdict"`
	Void               string      `json:"void,omitzero"`
}

// Cost is processor time in microseconds an order. What is not known is zero.
type Cost struct {
	Consumer float64 `json:"consumer"`
	Database float64 `json:"database"`
	Broker   float64 `json:"broker"`
	Redis    float64 `json:"redis"`
}

// Times are from the arrival of an order to its outcome, in milliseconds.
type Times struct {
	Offered  float64 `json:"offered_per_second"`
	Achieved float64 `json:"achieved_per_second"`
	Orders   int64   `json:"orders"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	P999     float64 `json:"p99_9_ms"`
	Max      float64 `json:"max_ms"`
}

// Judged is a goal and what became of it.
type Judged struct {
	Figure  Figure  `json:"figure"`
	Goal    string  `json:"goal"`
	Got     float64 `json:"got"`
	Verdict Verdict `json:"verdict"`
}

// Results are what was measured of the rows so far, in their order.
func (b *Bench) Results(rows []Row) []Result {
	var results []Result
	for _, row := range rows {
		if r := b.records[row.Name]; r != nil && (r.void != nil || len(r.runs) > 0) {
			results = append(results, b.result(r))
		}
	}
	return results
}

func (b *Bench) result(r *record) Result {
	res := Result{
		Row: r.row.Name, Shape: r.row.Shape.Name, About: r.row.Shape.About,
		Rounds: len(r.runs), Base: r.row.Base, Statements: r.statements,
		Goals: []Judged{}, Rates: []float64{}, Verdict: NoGoal,
	}
	if r.void != nil {
		res.Void, res.Verdict = r.void.Error(), Void
		return res
	}
	res.Orders = r.runs[0].Events
	for i := range r.runs {
		res.Rates = append(res.Rates, r.runs[i].Rate())
	}
	res.OrdersPerSecond = median(res.Rates)
	res.RatioToBase = b.ratio(r, func(o *Row) bool { return o.Name == r.row.Base })
	like := func(way Way) func(*Row) bool {
		return func(o *Row) bool {
			return r.row.Way != way && r.row.Load == 0 && o.Way == way && o.Shape.Name == r.row.Shape.Name && o.Delay == r.row.Delay
		}
	}
	res.RatioToTextbook = b.ratio(r, like(WayTextbook))
	res.RatioToCeiling = b.ratio(r, like(WayCeiling))
	res.costs(r)
	res.judge(r.row.Goals)
	return res
}

// costs fills in what the runs cost.
func (res *Result) costs(r *record) {
	of := func(figure func(*Run) float64) float64 {
		var list []float64
		for i := range r.runs {
			list = append(list, figure(&r.runs[i]))
		}
		return median(list)
	}
	perOrder := func(cpu func(*CPU) time.Duration) float64 {
		return of(func(run *Run) float64 { return float64(cpu(&run.CPU).Nanoseconds()) / 1e3 / float64(run.Events) })
	}
	res.CPU = &Cost{
		Consumer: perOrder(func(c *CPU) time.Duration { return c.Consumer }),
		Database: perOrder(func(c *CPU) time.Duration { return c.Database }),
		Broker:   perOrder(func(c *CPU) time.Duration { return c.Broker }),
		Redis:    perOrder(func(c *CPU) time.Duration { return c.Redis }),
	}
	if res.CPU.Database > 0 {
		res.ConsumerToDatabase = res.CPU.Consumer / res.CPU.Database
	}
	res.PeakMiB = of(func(run *Run) float64 { return float64(run.PeakMemory) / (1 << 20) })
	last := &r.runs[len(r.runs)-1]
	if last.Ceiling.Batch > 0 {
		res.Ceiling = &last.Ceiling
	}
	if a := last.Answers; a != nil {
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
		res.Latency = &Times{
			Offered: a.Offered, Achieved: a.Achieved, Orders: a.Count,
			P50: ms(a.P50), P99: ms(a.P99), P999: ms(a.P999), Max: ms(a.Max),
		}
	}
}

// figure is a figure by its name; ok is false when it was not measured.
func (res *Result) figure(name Figure) (value float64, ok bool) {
	switch name {
	case RatioToTextbook:
		value = res.RatioToTextbook
	case RatioToCeiling:
		value = res.RatioToCeiling
	case RatioToBase:
		value = res.RatioToBase
	case ConsumerToDatabase:
		value = res.ConsumerToDatabase
	case PeakMiB:
		value = res.PeakMiB
	case P99Millis:
		if res.Latency != nil {
			value = res.Latency.P99
		}
	}
	return value, value != 0
}

// judge holds the figures against the goals.
func (res *Result) judge(goals []Goal) {
	for _, g := range goals {
		got, ok := res.figure(g.Figure)
		verdict := g.judge(got, ok)
		res.Goals = append(res.Goals, Judged{Figure: g.Figure, Goal: g.String(), Got: got, Verdict: verdict})
		res.Verdict = worst(res.Verdict, verdict)
	}
}

// ratio is the median of the row's rates to those of another row in the same
// round; zero when there is none. A row that was measured once stands for all
// rounds.
func (b *Bench) ratio(r *record, other func(*Row) bool) float64 {
	for _, o := range b.records {
		if o.void != nil || len(o.runs) == 0 || !other(&o.row) {
			continue
		}
		var ratios []float64
		for i := range r.runs {
			ratios = append(ratios, r.runs[i].Rate()/o.runs[min(i, len(o.runs)-1)].Rate())
		}
		return median(ratios)
	}
	return 0
}

// median is the middle one, or the mean of the two in the middle.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
