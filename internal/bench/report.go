package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes one object a line, one line a row.
func WriteJSON(w io.Writer, results []Result) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for i := range results {
		if err := encoder.Encode(&results[i]); err != nil {
			return fmt.Errorf("write row %s: %w", results[i].Row, err)
		}
	}
	return nil
}

// WriteText writes the tables that a person reads: throughput and cost, times
// to the outcome, and the goals.
func WriteText(w io.Writer, results []Result) error {
	t := &table{out: tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)}
	t.throughput(results)
	t.latency(results)
	t.goals(results)
	t.void(results)
	if err := t.out.Flush(); err != nil {
		return fmt.Errorf("write the tables: %w", err)
	}
	return nil
}

// table writes cells; what goes wrong shows when it is flushed.
type table struct{ out *tabwriter.Writer }

func (t *table) row(cells ...string) {
	fmt.Fprintln(t.out, strings.Join(cells, "\t")+"\t")
}

// heading ends one table and begins the next.
func (t *table) heading(cells ...string) {
	_ = t.out.Flush() // the error comes again at the end
	fmt.Fprintln(t.out)
	t.row(cells...)
}

func (t *table) throughput(results []Result) {
	t.heading("row", "orders", "orders/s", "/textbook", "/ceiling", "/base", "CPU us/order: consumer", "database", "broker", "redis",
		"consumer/database", "peak MiB", "goals")
	for i := range results {
		r := &results[i]
		if r.Latency != nil || r.Verdict == Void {
			continue
		}
		t.row(r.Row+best(r), fmt.Sprint(r.Orders), fmt.Sprintf("%.0f", r.OrdersPerSecond),
			ratio(r.RatioToTextbook), ratio(r.RatioToCeiling), ratio(r.RatioToBase),
			cost(r.CPU.Consumer), cost(r.CPU.Database), cost(r.CPU.Broker), cost(r.CPU.Redis),
			ratio(r.ConsumerToDatabase), cost(r.PeakMiB), goal(r.Verdict))
	}
}

func (t *table) latency(results []Result) {
	headed := false
	for i := range results {
		r := &results[i]
		if r.Latency == nil {
			continue
		}
		if !headed {
			t.heading("from arrival to outcome", "offered/s", "achieved/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms",
				"CPU us/order: consumer", "database", "broker", "redis", "goals")
			headed = true
		}
		l := r.Latency
		t.row(r.Row, fmt.Sprintf("%.0f", l.Offered), fmt.Sprintf("%.0f", l.Achieved),
			millis(l.P50), millis(l.P99), millis(l.P999), millis(l.Max),
			cost(r.CPU.Consumer), cost(r.CPU.Database), cost(r.CPU.Broker), cost(r.CPU.Redis), goal(r.Verdict))
	}
}

func (t *table) goals(results []Result) {
	headed := false
	for i := range results {
		for _, g := range results[i].Goals {
			if !headed {
				t.heading("goal of", "figure", "wanted", "got", "verdict")
				headed = true
			}
			t.row(results[i].Row, string(g.Figure), g.Goal, fmt.Sprintf("%.3g", g.Got), string(g.Verdict))
		}
	}
}

func (t *table) void(results []Result) {
	_ = t.out.Flush() // the error comes again at the end
	for i := range results {
		if results[i].Verdict == Void {
			fmt.Fprintf(t.out, "\nvoid: %s: %s\n", results[i].Row, results[i].Void)
		}
	}
}

// best says with what a ceiling was reached.
func best(r *Result) string {
	if r.Ceiling == nil {
		return ""
	}
	return fmt.Sprintf(" (%d x %d)", r.Ceiling.Connections, r.Ceiling.Batch)
}

// A figure that was not measured is an empty cell.

func ratio(f float64) string {
	switch {
	case f == 0:
		return ""
	case f >= 10:
		return fmt.Sprintf("%.0f", f)
	default:
		return fmt.Sprintf("%.2f", f)
	}
}

func cost(f float64) string {
	switch {
	case f == 0:
		return ""
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	default:
		return fmt.Sprintf("%.1f", f)
	}
}

func millis(f float64) string { return fmt.Sprintf("%.1f", f) }

func goal(v Verdict) string {
	if v == NoGoal {
		return ""
	}
	return string(v)
}

// WriteStatements writes what the database spent on which statements.
func WriteStatements(w io.Writer, results []Result) error {
	for i := range results {
		r := &results[i]
		if len(r.Statements) == 0 {
			continue
		}
		_, err := fmt.Fprintf(w, "\nstatements of %s, last round\n", r.Row)
		if err != nil {
			return fmt.Errorf("write statements: %w", err)
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, s := range r.Statements {
			fmt.Fprintf(t, "%.3f s\t%d calls\t%s\n", s.Took.Seconds(), s.Calls, clip(s.Text))
		}
		if err := t.Flush(); err != nil {
			return fmt.Errorf("write statements: %w", err)
		}
	}
	return nil
}

// clip keeps a statement to a line.
func clip(text string) string {
	const most = 110
	if len(text) > most {
		return text[:most]
	}
	return text
}
