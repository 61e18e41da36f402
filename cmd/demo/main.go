// Command demo is the whole shop in one process, with nothing to install but
// Go: a Kafka, a Redis and a database made for the occasion, an order consumer
// with its API, and a shop that publishes orders. What it runs is the consumer
// that is run for real; only the servers are not.
package main

import (
	"io"
	"os"
	"slices"

	"orderconsumer/internal/cli"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

const help = `The whole shop in one process: Kafka, Redis, a database, the consumer with its API, and customers.

While it runs, "demo join" adds another consumer to it, and "demo stock list", "demo stock get" and "demo audit" ` +
	`look into its database. All of it is gone when it ends.`

// commands are the commands of the demo; audit and stock are the consumer's.
type commands struct {
	Run     runCommand         `cmd:"" default:"withargs" help:"Open the shop; the default command."`
	Join    joinCommand        `cmd:"" help:"Add a consumer to the demo that runs on this machine."`
	Version cli.VersionCommand `cmd:"" help:"Say which build this is."`
}

// run carries out one command line and returns the code to exit with.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && slices.Contains([]string{"audit", "stock"}, args[0]) {
		return lookInside(args, stdin, stdout, stderr)
	}
	p := cli.Program{Name: "demo", Help: help, Commands: &commands{}}
	return p.Run(args, cli.Streams{Stdin: stdin, Stdout: stdout, Stderr: stderr})
}
