package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/sim"
)

// runCommand plays seeds.
type runCommand struct {
	Seeds   string `default:"1..1000" help:"Seeds to play: 7, or 1..1000."`
	Workers int    `placeholder:"N" help:"Worlds at a time (default: one a processor)."`
	First   bool   `name:"fail-fast" help:"Stop at the first world in which something is wrong."`
	Verbose bool   `name:"verbose" short:"v" help:"Write to standard error what the consumers of the worlds log, and each seed as it begins."`
	Output  string `name:"output" short:"o" default:"text" enum:"text,json" help:"text: a table for people. json: one object."`
}

// Run implements a command.
func (c *runCommand) Run(ctx context.Context, s *cli.Session) error {
	seeds, err := sim.ParseSeeds(c.Seeds)
	if err == nil && c.Workers < 0 {
		err = fmt.Errorf("%d workers: want at least one", c.Workers)
	}
	if err != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: err, Try: "sim --help"}
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	opts := sim.Options{Workers: c.Workers, Again: again}
	if c.Verbose {
		opts.Log = slog.New(slog.NewTextHandler(s.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	p := &progress{session: s, seeds: seeds, began: time.Now(), told: time.Now()}
	opts.Each = func(o sim.Outcome) bool {
		p.tell(&o)
		return ctx.Err() == nil && (!c.First || o.Wrong == 0)
	}
	report, err := sim.Play(seeds, opts)
	if err != nil {
		return err
	}
	err = c.write(s, report, time.Since(p.began))
	if err != nil {
		return err
	}
	return verdict(ctx, seeds, report)
}

// again is the command that plays one seed.
func again(seed uint64) string { return fmt.Sprintf("go run ./cmd/sim -seeds %d -v", seed) }

// verdict is an error if anything was wrong, not played, or not reached.
func verdict(ctx context.Context, seeds sim.Seeds, r *sim.Report) error {
	missing := r.Missing()
	switch {
	case len(r.Failed) > 0:
		return &cli.Failure{Code: cli.ExitFailed, Err: fmt.Errorf("%d of %d seeds broke the promise", len(r.Failed), r.Seeds), Try: again(r.Failed[0].Seed)}
	case ctx.Err() != nil:
		return &cli.Failure{Code: cli.ExitPartial, Err: fmt.Errorf("%d of %d seeds were played: %w", r.Seeds, seeds.Count(), ctx.Err()), Try: ""}
	case r.Seeds >= sim.Enough && len(missing) > 0:
		return &cli.Failure{Code: cli.ExitFailed, Err: fmt.Errorf("the run is void: %d seeds never came to %s", r.Seeds, strings.Join(missing, ", ")), Try: ""}
	default:
		return nil
	}
}

// progress says how far the run is, and tells failures as they come.
type progress struct {
	session *cli.Session
	seeds   sim.Seeds
	began   time.Time
	told    time.Time
	played  int
	failed  int
}

// tell is called for one world after another.
func (p *progress) tell(o *sim.Outcome) {
	p.played++
	if o.Wrong > 0 {
		p.failed++
		p.session.Say("%s  %d wrong:\n    %s\n  again: %s", o.Plan, o.Wrong, strings.Join(o.Findings, "\n    "), again(o.Seed))
	}
	if time.Since(p.told) < cli.LineEvery {
		return
	}
	p.told = time.Now()
	left := time.Duration(float64(time.Since(p.began)) / float64(p.played) * float64(p.seeds.Count()-p.played))
	p.session.Say("%d of %d seeds, %d failed, %s left", p.played, p.seeds.Count(), p.failed, left.Round(time.Second))
}

// answer is the report for programs.
type answer struct {
	Seeds     int              `json:"seeds"`
	Failed    []failed         `json:"failed"`
	Events    int              `json:"events"`
	Seconds   float64          `json:"seconds"`
	Virtual   float64          `json:"virtual_seconds"`
	Recovered float64          `json:"slowest_recovery_seconds"`
	Reached   map[string]int64 `json:"reached"`
	Missing   []string         `json:"missing"`
}

// failed is a world in which something was wrong.
type failed struct {
	Seed     uint64   `json:"seed"`
	World    string   `json:"world"`
	Wrong    int      `json:"wrong"`
	Findings []string `json:"findings"`
	Again    string   `json:"again"`
}

// write writes the report.
func (c *runCommand) write(s *cli.Session, r *sim.Report, took time.Duration) error {
	if c.Output == "json" {
		a := answer{
			Seeds: r.Seeds, Failed: []failed{}, Events: r.Events, Seconds: took.Seconds(), Virtual: r.Virtual.Seconds(),
			Recovered: r.Recovered.Seconds(), Reached: r.Reached.Counts(), Missing: append([]string{}, r.Missing()...),
		}
		for _, o := range r.Failed {
			a.Failed = append(a.Failed, failed{Seed: o.Seed, World: o.Plan, Wrong: o.Wrong, Findings: o.Findings, Again: again(o.Seed)})
		}
		return json.NewEncoder(s.Stdout).Encode(a)
	}
	table := tabwriter.NewWriter(s.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	counts := r.Reached.Counts()
	for _, name := range r.Missing() {
		counts[name] = 0
	}
	fmt.Fprintln(table, "TIMES\t  REACHED")
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(table, "%d\t  %s\n", counts[name], name)
	}
	_, err := fmt.Fprintf(s.Stdout, "%d seeds, %d failed: %d events in %s of virtual time, %s of real time; settled within %s of the last fault\n",
		r.Seeds, len(r.Failed), r.Events, r.Virtual.Round(time.Second), took.Round(100*time.Millisecond), r.Recovered)
	return errors.Join(table.Flush(), err)
}
