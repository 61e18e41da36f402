package bench

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rated is a run of so many orders a second.
func rated(rate float64) Run {
	return Run{Events: 1000, Took: time.Duration(1000 / rate * float64(time.Second))}
}

// measured is a benchmark that has measured the rows already.
func measured(records ...*record) (*Bench, []Row) {
	b := New(nil, Options{})
	var rows []Row
	for _, r := range records {
		b.records[r.row.Name] = r
		rows = append(rows, r.row)
	}
	return b, rows
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6*math.Abs(b)+1e-9 }

func TestRatiosAreOfNeighboursAndTheirMedianIsReported(t *testing.T) {
	t.Parallel()
	b, rows := measured(
		&record{row: Row{Name: "ceiling", Shape: standard, Way: WayCeiling}, runs: []Run{rated(1000), rated(500), rated(2000)}},
		&record{row: Row{Name: "ours", Shape: standard, Way: WayOurs}, runs: []Run{rated(800), rated(450), rated(1000)}},
		&record{row: Row{Name: "four", Shape: standard, Way: WayOurs, Base: "ours"}, runs: []Run{rated(400), rated(450), rated(2000)}},
		&record{row: Row{Name: "textbook", Shape: standard, Way: WayTextbook, Once: true}, runs: []Run{rated(10)}},
		&record{row: Row{Name: "elsewhere", Shape: hotGoods, Way: WayOurs}, runs: []Run{rated(1)}},
		&record{row: Row{Name: "slow network", Shape: standard, Way: WayOurs, Delay: time.Second}, runs: []Run{rated(1)}},
	)
	results := b.Results(rows)
	ours, four := results[1], results[2]
	// 0.8, 0.9 and 0.5: the machine was half as fast in the second round.
	if !near(ours.RatioToCeiling, 0.8) || !near(ours.OrdersPerSecond, 800) || !near(ours.RatioToTextbook, 80) {
		t.Errorf("ours: got %+v", ours)
	}
	if !near(four.RatioToBase, 1) {
		t.Errorf("four: got %g of its base, want the median of 0.5, 1 and 2", four.RatioToBase)
	}
	for _, r := range results[4:] {
		if r.RatioToCeiling != 0 || r.RatioToTextbook != 0 || r.RatioToBase != 0 {
			t.Errorf("%s is compared with another shape or network: %+v", r.Row, r)
		}
	}
	if results[0].RatioToCeiling != 0 {
		t.Error("the ceiling is compared with itself")
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{5, 1}, 3}, {[]float64{9, 1, 2}, 2}} {
		if got := median(c.list); got != c.want {
			t.Errorf("median of %v: got %g, want %g", c.list, got, c.want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	run := rated(100)
	run.CPU = CPU{Consumer: time.Second, Database: 4 * time.Second}
	run.PeakMemory = 100 << 20
	run.Answers = &Answers{P99: 51 * time.Millisecond}
	for _, c := range []struct {
		name  string
		goals []Goal
		want  Verdict
	}{
		{"no goal", nil, NoGoal},
		{"reached", []Goal{atMost(ConsumerToDatabase, 0.25), atMost(PeakMiB, 100)}, Met},
		{"one of two missed", []Goal{atMost(PeakMiB, 128), atMost(P99Millis, 50)}, Missed},
		{"at least", []Goal{atLeast(PeakMiB, 101)}, Missed},
		{"not measured", []Goal{atLeast(RatioToCeiling, 0.8)}, Unknown},
		{"missed outweighs not measured", []Goal{atLeast(RatioToCeiling, 0.8), atMost(P99Millis, 50)}, Missed},
	} {
		b, rows := measured(&record{row: Row{Name: c.name, Way: WayOurs, Goals: c.goals}, runs: []Run{run}})
		if got := b.Results(rows)[0].Verdict; got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	b, rows := measured(&record{row: Row{Name: "dirty", Goals: []Goal{atMost(PeakMiB, 128)}}, runs: []Run{run}, void: errors.New("oversold")})
	if got := b.Results(rows)[0]; got.Verdict != Void || got.Void != "oversold" || got.OrdersPerSecond != 0 {
		t.Errorf("a dirty row: got %+v, want no figures", got)
	}
}

func TestGoalsAreStatedAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for goal, want := range map[Goal]string{
		atLeast(RatioToCeiling, 0.8).aiming(0.95): ">= 0.8, aim 0.95",
		atMost(PeakMiB, 128):                      "<= 128",
	} {
		if got := goal.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func reported() []Result {
	run := rated(1234)
	run.CPU = CPU{Consumer: time.Second, Database: 2 * time.Second}
	loaded := run
	loaded.Answers = &Answers{Offered: 500, Achieved: 499, Count: 7, P50: 2500 * time.Microsecond, P99: 40 * time.Millisecond}
	b, rows := measured(
		&record{row: Row{Name: "ours/1-instance", Shape: standard, Way: WayOurs, Goals: []Goal{atMost(ConsumerToDatabase, 0.35)}}, runs: []Run{run},
			statements: []Statement{{Text: "COMMIT", Calls: 3, Took: time.Second}}},
		&record{row: Row{Name: "latency/50-percent", Shape: standard, Way: WayLatency, Load: 0.5}, runs: []Run{loaded}},
		&record{row: Row{Name: "ours/hot-goods", Shape: hotGoods, Way: WayOurs}, void: errors.New("audit: oversold")},
	)
	return b.Results(rows)
}

func TestJSONIsOneObjectARow(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := WriteJSON(&out, reported()); err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	for line := range strings.Lines(out.String()) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, map[string]any{"row": object["row"], "verdict": object["verdict"], "void": object["void"]})
	}
	want := []map[string]any{
		{"row": "ours/1-instance", "verdict": "missed", "void": nil},
		{"row": "latency/50-percent", "verdict": "none", "void": nil},
		{"row": "ours/hot-goods", "verdict": "void", "void": "audit: oversold"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestTextHasEveryRowOnce(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := WriteText(&out, reported()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ours/1-instance    1000      1234", "latency/50-percent        500         499     2.5    40.0",
		"cpu_consumer_to_database  <= 0.35  0.5   missed", "void: ours/hot-goods: audit: oversold",
	} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := WriteStatements(&out, reported()); err != nil || !strings.Contains(out.String(), "1.000 s  3 calls  COMMIT") {
		t.Errorf("got %v and\n%s", err, out.String())
	}
}
