// Command bench measures the consumer on real servers, against the well-known
// ways of doing its work and against the database alone.
package main

import (
	"os"

	"orderconsumer/internal/cli"
)

func main() {
	p := cli.Program{Name: "bench", Help: help, Commands: &commands{}}
	os.Exit(p.Run(os.Args[1:], cli.Standard()))
}

const help = `Measure the consumer on the servers that KAFKA_BROKERS, REDIS_URL and DATABASE_URL name ` +
	`(scripts/servers up starts some), against the well-known ways of doing its work and against the database alone.

Topics, groups and databases are the benchmark's own, and are removed. An audit follows each measurement; a dirty ` +
	`one voids the row. Figures of different runs are not comparable, ratios within a run are.`

// commands are the benchmark and the process that it starts for each
// measurement.
type commands struct {
	Run     runCommand         `cmd:"" default:"withargs" help:"Measure; the default command."`
	Queries queriesCommand     `cmd:"" help:"Measure stock queries over HTTP, from the cache and from the database, in one run."`
	Measure measureCommand     `cmd:"" hidden:"" help:"Carry out one measurement, for the benchmark itself."`
	Version cli.VersionCommand `cmd:"" help:"Say which build this is."`
}
