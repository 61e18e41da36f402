package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/faultsuite"
	"orderconsumer/internal/settings"
)

// listCommand shows the rows.
type listCommand struct{}

// Run implements a command.
func (*listCommand) Run(_ context.Context, s *cli.Session) error {
	table := tabwriter.NewWriter(s.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "#\tROW\tPLAYED\tFAULT")
	for _, row := range faultsuite.Rows() {
		played := "run"
		switch {
		case row.Elsewhere != "":
			played = "not here"
		case row.Short:
			played = "run, short"
		case row.Long:
			played = "if named"
		case row.Brokers == 3:
			played = "run, with 3 brokers"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", row.Number, row.Name, played, row.Fault)
	}
	return table.Flush()
}

// playing is what playing any rows needs.
type playing struct {
	Brokers  []string `name:"kafka-brokers" env:"KAFKA_BROKERS" default:"localhost:9092" help:"Brokers to begin with, host:port, comma-separated."`
	Redis    []string `name:"redis-url" env:"REDIS_URL" default:"redis://localhost:6379/0" help:"Redis, or several, comma-separated."`
	Database string   `name:"database-url" env:"DATABASE_URL" required:"" help:"MySQL: mysql://user:password@host:port/database, whose user may do everything."`

	Servers  string        `default:"scripts/servers" type:"path" help:"The script that started the servers."`
	Folder   string        `name:"servers-dir" env:"ORDER_SERVERS_DIR" default:".servers" type:"path" help:"Its folder."`
	Consumer string        `default:"bin/consumer" type:"path" help:"The consumer."`
	Logs     string        `default:".faults" type:"path" help:"Folder for what consumers say."`
	Results  string        `type:"path" placeholder:"FILE" help:"Add each result to this file, one JSON object a line."`
	Rate     float64       `default:"1000" help:"Orders that come in each second."`
	Seed     uint64        `help:"Seed of the orders; 0 for another one each time. Faults that are chosen at random are not in it."`
	For      time.Duration `default:"5m" help:"How long a long row goes on."`
	At       int           `name:"at-once" default:"1" help:"Play each row so many times at once; for rows that leave the servers alone and have none to themselves."`
	Times    int           `default:"1" help:"Play each row so many times, one after the other."`
	Output   string        `name:"output" short:"o" default:"text" enum:"text,json,jsonl,markdown" help:"How results are written."`
}

// play plays rows and tells what became of them.
func (c *playing) play(ctx context.Context, s *cli.Session, rows []faultsuite.Row) error {
	client, err := settings.Kafka{Brokers: c.Brokers}.Client("faults")
	if err != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: err, Try: "scripts/faults"}
	}
	defer client.Close()
	suite, err := faultsuite.New(faultsuite.Config{
		Servers: &faultsuite.Servers{Script: c.Servers, Folder: c.Folder}, Client: client,
		Brokers: c.Brokers, RedisURLs: c.Redis, DatabaseURL: c.Database,
		Consumer: c.Consumer, Logs: c.Logs, Seed: c.Seed, Rate: c.Rate, For: c.For, AtOnce: c.At, Say: s.Say,
	})
	if err != nil {
		return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: "scripts/servers up"}
	}
	defer suite.Close()
	rows, err = playable(ctx, s, suite, rows)
	if err != nil {
		return err
	}
	var results []faultsuite.Result
	broken := 0
	for _, row := range rows {
		for range c.Times {
			for _, r := range c.atOnce(ctx, suite, row) {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				results = append(results, *r)
				if !r.Kept() {
					broken++
				}
				c.tell(s, r)
				if err := c.note(r); err != nil {
					return err
				}
			}
		}
	}
	if err := c.write(s, results); err != nil {
		return err
	}
	if broken > 0 {
		return fmt.Errorf("%d of %d rows are not as they should be; what the consumers said is in %s", broken, len(results), c.Logs)
	}
	return nil
}

// playable are the rows that can be played; it tells of those that the machine does
// not let be played. That none is left is an error, as is any other reason.
func playable(ctx context.Context, s *cli.Session, suite *faultsuite.Suite, rows []faultsuite.Row) ([]faultsuite.Row, error) {
	var left []faultsuite.Row
	var reasons []error
	for _, row := range rows {
		err := suite.Check(ctx, row)
		switch {
		case err == nil:
			left = append(left, row)
		case errors.Is(err, faultsuite.ErrNotHere):
			reasons = append(reasons, err)
		default:
			return nil, &cli.Failure{Code: cli.ExitUsage, Err: err, Try: "scripts/faults list"}
		}
	}
	if len(left) == 0 {
		return nil, fmt.Errorf("no row was played: %w", errors.Join(reasons...))
	}
	for _, reason := range reasons {
		s.Say("not played: %s", reason)
	}
	return left, nil
}

// atOnce plays a row as often at once as was asked for.
func (c *playing) atOnce(ctx context.Context, suite *faultsuite.Suite, row faultsuite.Row) []*faultsuite.Result {
	results := make([]*faultsuite.Result, max(1, c.At))
	var playing sync.WaitGroup
	for i := range results {
		playing.Go(func() { results[i] = suite.Play(ctx, row) })
	}
	playing.Wait()
	return results
}

// line is a result in one line.
func line(r *faultsuite.Result) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%-7s %2d %-24s %7d events, %d kills, %d replayed, pause %.1f s, in %.0f s",
		r.Verdict(), r.Number, r.Row, r.Events, r.Kills, r.Replayed, r.Pause.Seconds(), r.Took.Seconds())
	for _, t := range r.Timings {
		text.WriteString("; " + t.String())
	}
	for _, seen := range r.Observed {
		text.WriteString("; " + seen)
	}
	if r.Error != "" {
		text.WriteString("\n        " + strings.ReplaceAll(r.Error, "\n", "\n        "))
	}
	for _, finding := range r.Findings {
		text.WriteString("\n        " + finding)
	}
	return text.String()
}

// note adds a result to the file of all results.
func (c *playing) note(r *faultsuite.Result) (err error) {
	if c.Results == "" {
		return nil
	}
	file, err := os.OpenFile(c.Results, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("note a result: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return json.NewEncoder(file).Encode(r)
}

// write writes the answer.
func (c *playing) write(s *cli.Session, results []faultsuite.Result) error {
	encoder := json.NewEncoder(s.Stdout)
	switch c.Output {
	case "json":
		return encoder.Encode(results)
	case "jsonl":
		for i := range results {
			if err := encoder.Encode(&results[i]); err != nil {
				return err
			}
		}
		return nil
	case "markdown":
		return faultsuite.Page(s.Stdout, results)
	default: // told as they came
		return nil
	}
}

// tell tells a result as it comes: as the answer to a person, as talk beside
// any other answer.
func (c *playing) tell(s *cli.Session, r *faultsuite.Result) {
	if c.Output == "text" {
		fmt.Fprintln(s.Stdout, line(r))
		return
	}
	s.Say("%s", line(r))
}

// runCommand plays rows.
type runCommand struct {
	playing
	Rows []string `arg:"" optional:"" help:"Numbers or names."`
}

// Run implements a command.
func (c *runCommand) Run(ctx context.Context, s *cli.Session) error {
	rows, err := faultsuite.Choose(c.Rows)
	if err != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: err, Try: "scripts/faults list"}
	}
	if len(c.Rows) == 0 {
		brokers := len(c.Brokers)
		rows = slices.DeleteFunc(faultsuite.Rows(), func(r faultsuite.Row) bool {
			return r.Long || r.Elsewhere != "" || r.Brokers != 0 && r.Brokers != brokers
		})
	}
	// A number stands for all of its rows; those that cannot be played here do
	// not keep the others from it.
	chosen := slices.Clone(rows)
	rows = slices.DeleteFunc(rows, func(r faultsuite.Row) bool {
		return !slices.Contains(c.Rows, r.Name) && len(c.Rows) > 0 && (r.Elsewhere != "" || r.Long || r.Brokers != 0 && r.Brokers != len(c.Brokers))
	})
	if len(rows) == 0 {
		return fmt.Errorf("no row was played: of %s each is played elsewhere, only if it is named, or with another number of brokers", names(chosen))
	}
	return c.play(ctx, s, rows)
}

func names(rows []faultsuite.Row) string {
	var all []string
	for _, row := range rows {
		all = append(all, row.Name)
	}
	return strings.Join(all, ", ")
}

// shortCommand plays the short selection.
type shortCommand struct{ playing }

// Run implements a command.
func (c *shortCommand) Run(ctx context.Context, s *cli.Session) error {
	return c.play(ctx, s, faultsuite.Short())
}

// pageCommand writes the page.
type pageCommand struct {
	Results []string `arg:"" type:"existingfile" help:"Files that --results has written."`
}

// Run implements a command.
func (c *pageCommand) Run(_ context.Context, s *cli.Session) error {
	var results []faultsuite.Result
	for _, name := range c.Results {
		more, err := read(name)
		if err != nil {
			return err
		}
		results = append(results, more...)
	}
	return faultsuite.Page(s.Stdout, results)
}

func read(name string) (results []faultsuite.Result, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	defer func() {
		if e := file.Close(); e != nil && !errors.Is(e, fs.ErrClosed) {
			err = errors.Join(err, e)
		}
	}()
	decoder := json.NewDecoder(bufio.NewReader(file))
	for decoder.More() {
		var r faultsuite.Result
		if err := decoder.Decode(&r); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		results = append(results, r)
	}
	return results, nil
}
