package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"orderconsumer/internal/bench"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/settings"
)

// runCommand measures the rows that are asked for.
type runCommand struct {
	Brokers  []string `name:"kafka-brokers" env:"KAFKA_BROKERS" default:"localhost:9092" help:"Brokers to begin with, host:port, comma-separated."`
	Redis    string   `name:"redis-url" env:"REDIS_URL" default:"redis://localhost:6379/0" help:"Redis: one, because a quorum would cost all ways with a lock the same."`
	Database string   `name:"database-url" env:"DATABASE_URL" default:"mysql://orders:orders@localhost:3306/orders" help:"MySQL or MariaDB server: mysql://user:password@host:port/database. Databases of the benchmark's own are made beside the one that is named."`

	Rows   string `default:"." help:"Regular expression of the rows to measure; --list shows them."`
	List   bool   `help:"Show the rows and measure nothing."`
	Repeat int    `default:"1" help:"How often each row is measured, neighbours in turn; medians are reported. Loads and the backlog are measured once."`

	Orders         int           `default:"200000" help:"Orders of a row."`
	TextbookOrders int           `name:"textbook-orders" default:"5000" help:"Orders of a row that works on them one by one."`
	BacklogOrders  int           `name:"backlog-orders" default:"1000000" help:"Orders that wait in the backlog."`
	LatencyFor     time.Duration `name:"latency-for" default:"15s" help:"How long each load lasts."`
	LatencyWarm    time.Duration `name:"latency-warm" default:"5s" help:"How long a load has lasted when the measurement begins."`
	Seed           uint64        `default:"7" help:"Seed of the orders."`

	CPUProfile string `name:"cpuprofile" type:"path" placeholder:"FOLDER" help:"Write a CPU profile of each measurement's process into this folder."`
	Statements bool   `help:"Show what the database spent on which statements, too. Empties its list of statements before each measurement."`
	Output     string `name:"output" short:"o" default:"text" enum:"text,json" help:"text: tables for people. json: one object a row, one a line."`
}

// Run implements a command.
func (c *runCommand) Run(ctx context.Context, s *cli.Session) error {
	rows, err := bench.Choose(bench.Rows(), c.Rows)
	if err != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: err, Try: "bench --list"}
	}
	if c.List {
		return list(s, rows)
	}
	err = c.check()
	if err != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: err, Try: "bench --help"}
	}
	world, err := bench.Open(ctx, bench.Config{
		Servers:    bench.Servers{Kafka: settings.Kafka{Brokers: c.Brokers}, RedisURL: c.Redis, DatabaseURL: c.Database},
		Measure:    bench.InProcess,
		Say:        s.Say,
		Statements: c.Statements,
	})
	if err != nil {
		return &cli.Failure{Code: cli.ExitUnreachable, Err: err, Try: "scripts/servers up"}
	}
	defer world.Close()
	b := bench.New(world, bench.Options{
		Orders: c.Orders, TextbookOrders: c.TextbookOrders, BacklogOrders: c.BacklogOrders, Rounds: c.Repeat,
		LatencyFor: c.LatencyFor, LatencyWarm: c.LatencyWarm, Seed: c.Seed, Profiles: c.CPUProfile,
	})
	// What was measured until then is reported even when it is stopped.
	err = b.Run(ctx, rows)
	results := b.Results(rows)
	return errors.Join(err, c.report(s, world, results), voids(results))
}

// check refuses what cannot be measured.
func (c *runCommand) check() error {
	for _, n := range []int{c.Orders, c.TextbookOrders, c.BacklogOrders, c.Repeat} {
		if n < 1 {
			return fmt.Errorf("numbers of orders and repetitions are at least 1, got %d", n)
		}
	}
	if err := oneRedis(c.Redis); err != nil {
		return err
	}
	if c.LatencyFor <= 0 || c.LatencyWarm < 0 {
		return errors.New("a load lasts for some time")
	}
	if c.CPUProfile != "" {
		return os.MkdirAll(c.CPUProfile, 0o755)
	}
	return nil
}

// oneRedis refuses the list that a consumer would take: with the first of it the
// rest would be measured by nobody, and nobody told.
func oneRedis(url string) error {
	if n := strings.Count(url, ",") + 1; n > 1 {
		return fmt.Errorf("redis-url: the benchmark measures one Redis, got %d; give it one of them (REDIS_URL)", n)
	}
	return nil
}

func (c *runCommand) report(s *cli.Session, world *bench.World, results []bench.Result) error {
	if c.Output == "json" {
		return bench.WriteJSON(s.Stdout, results)
	}
	_, err := fmt.Fprintln(s.Stdout, world.About())
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	err = bench.WriteText(s.Stdout, results)
	if err == nil && c.Statements {
		err = bench.WriteStatements(s.Stdout, results)
	}
	return err
}

// voids is an error when a row is void: goals may be missed, a broken promise
// or a measurement that failed may not.
func voids(results []bench.Result) error {
	n := 0
	for i := range results {
		if results[i].Verdict == bench.Void {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d rows are void", n, len(results))
}

// list shows the rows.
func list(s *cli.Session, rows []bench.Row) error {
	t := tabwriter.NewWriter(s.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(t, "%s\t%s\n", row.Name, row.Shape.About)
	}
	return t.Flush()
}

// measureCommand is one measurement in a process of its own.
type measureCommand struct{}

// Run implements a command.
func (measureCommand) Run(ctx context.Context, s *cli.Session) error {
	log := slog.New(slog.NewTextHandler(s.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return bench.Child(ctx, os.Stdin, s.Stdout, log)
}
