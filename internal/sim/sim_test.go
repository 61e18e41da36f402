package sim_test

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/sim"
)

// seeds are those of this run: few by default, for whoever tests everything under
// the race detector. .ci/run plays a thousand.
var seeds = flag.String("seeds", "1..12", "seeds of TestSeeds, as 7 or 1..1000")

func TestSeeds(t *testing.T) {
	t.Parallel()
	chosen, err := sim.ParseSeeds(*seeds)
	if err != nil {
		t.Fatal(err)
	}
	again := func(seed uint64) string { return fmt.Sprintf("go run ./cmd/sim -seeds %d -v", seed) }
	report := sim.RunAll(t, chosen, sim.Options{Workers: runtime.GOMAXPROCS(0), Again: again, Each: func(o sim.Outcome) bool {
		if o.Wrong > 0 {
			t.Errorf("%s  %d wrong:\n    %s\n  again: %s", o.Plan, o.Wrong, strings.Join(o.Findings, "\n    "), again(o.Seed))
		}
		return true
	}})
	if report.Seeds != chosen.Count() || report.Events == 0 {
		t.Errorf("%d seeds with %d events were played, want %d", report.Seeds, report.Events, chosen.Count())
	}
	if missing := report.Missing(); report.Seeds >= sim.Enough && len(missing) > 0 {
		t.Errorf("the run is void: %d seeds never came to %s", report.Seeds, strings.Join(missing, ", "))
	}
	t.Logf("%d seeds, %d failed: %d events in %s of virtual time; settled within %s of the last fault",
		report.Seeds, len(report.Failed), report.Events, report.Virtual.Round(time.Second), report.Recovered)
	// What a dozen seeds always reach.
	if counts := report.Reached.Counts(); counts["settled deducted"] == 0 || counts["settled duplicate"] == 0 || counts["generation"] == 0 {
		t.Errorf("hardly anything was reached: %v", counts)
	}
}

func TestParseSeeds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]sim.Seeds{"7": {First: 7, Last: 7}, "1..1000": {First: 1, Last: 1000}, "0..0": {}} {
		got, err := sim.ParseSeeds(text)
		if err != nil || got != want {
			t.Errorf("%q: got %v and %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "2..1", "1..", "..1", "1..2..3", "1...2"} {
		got, err := sim.ParseSeeds(text)
		if err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
