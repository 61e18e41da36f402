package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"orderconsumer/internal/bench"
	"orderconsumer/internal/cli"
)

// queriesCommand measures stock queries from the cache and from the database.
type queriesCommand struct {
	Redis    string `name:"redis-url" env:"REDIS_URL" default:"redis://localhost:6379/0" help:"Redis."`
	Database string `name:"database-url" env:"DATABASE_URL" default:"mysql://orders:orders@localhost:3306/orders" help:"MySQL or MariaDB server: mysql://user:password@host:port/database. A database of the benchmark's own is made beside the one that is named."`

	Goods       int           `default:"1000" help:"Goods in the catalogue, all asked for alike."`
	Connections int           `default:"64" help:"Connections that ask, each one question after the other."`
	Rate        float64       `default:"0" help:"Questions a second that are due, whether or not the one before is answered; times count from then. 0: each follows the answer before it."`
	Warm        time.Duration `default:"2s" help:"How long each load has lasted when the measurement begins."`
	For         time.Duration `default:"10s" help:"How long it is measured."`
	Repeat      int           `default:"1" help:"How often the two are measured, in turn."`
	CPUProfile  string        `name:"cpuprofile" type:"path" placeholder:"FOLDER" help:"Write a CPU profile of each load into this folder."`
	Output      string        `name:"output" short:"o" default:"text" enum:"text,json" help:"text: a table for people. json: one object a row, one a line."`
}

// Run implements a command.
func (c *queriesCommand) Run(ctx context.Context, s *cli.Session) error {
	if c.Goods < 1 || c.Connections < 1 || c.Repeat < 1 || c.Rate < 0 || c.Warm < 0 || c.For <= 0 {
		return &cli.Failure{Code: cli.ExitUsage, Err: errors.New("goods, connections and repetitions are at least 1, times are positive"), Try: "bench queries --help"}
	}
	if err := oneRedis(c.Redis); err != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: err, Try: "bench queries --help"}
	}
	if c.CPUProfile != "" {
		if err := os.MkdirAll(c.CPUProfile, 0o755); err != nil {
			return &cli.Failure{Code: cli.ExitUsage, Err: err, Try: "bench queries --help"}
		}
	}
	rows, err := bench.Queries{
		RedisURL: c.Redis, DatabaseURL: c.Database, Goods: c.Goods, Connections: c.Connections,
		Rate: c.Rate, Warm: c.Warm, For: c.For, Rounds: c.Repeat, Profiles: c.CPUProfile, Say: s.Say,
	}.Run(ctx)
	if err != nil {
		return errors.Join(&cli.Failure{Code: cli.ExitUnreachable, Err: err, Try: "scripts/servers up mysql redis"}, c.report(s, rows))
	}
	return c.report(s, rows)
}

func (c *queriesCommand) report(s *cli.Session, rows []bench.QueryRow) error {
	if c.Output == "json" {
		encoder := json.NewEncoder(s.Stdout)
		for _, row := range rows {
			if err := encoder.Encode(row); err != nil {
				return fmt.Errorf("write row %s: %w", row.Row, err)
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(s.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")+"\t") }
	line("row", "round", "answers/s", "refused", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "CPU us", "Redis", "database", "database readings", "p99 database/this")
	for _, r := range rows {
		ratio := ""
		if r.RatioToDatabase > 0 {
			ratio = fmt.Sprintf("%.1f", r.RatioToDatabase)
		}
		line(r.Row, fmt.Sprint(r.Round), fmt.Sprintf("%.0f", r.Achieved), fmt.Sprint(r.Refused), fmt.Sprintf("%.3f", r.P50),
			fmt.Sprintf("%.3f", r.P99), fmt.Sprintf("%.3f", r.P999), fmt.Sprintf("%.3f", r.Max),
			fmt.Sprintf("%.1f", r.CPU), fmt.Sprintf("%.1f", r.RedisCPU), fmt.Sprintf("%.1f", r.DatabaseCPU), fmt.Sprint(r.Readings), ratio)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}
