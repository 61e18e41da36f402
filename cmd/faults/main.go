// Command faults breaks things on real servers while consumers work, and holds
// what became of the orders against what was published. scripts/faults runs it.
package main

import (
	"os"

	"orderconsumer/internal/cli"
)

func main() {
	p := cli.Program{Name: "faults", Help: help, Commands: &commands{}}
	os.Exit(p.Run(os.Args[1:], cli.Standard()))
}

const help = `Break things on the servers that scripts/servers has started, while consumers work, and hold what became of the orders against what was published.

It kills and freezes those servers: use none that somebody else needs. Topics, groups and databases are its own, and are removed.`

// commands are the ways to break things.
type commands struct {
	List  listCommand  `cmd:"" help:"Show the rows."`
	Run   runCommand   `cmd:"" help:"Play rows, by number or name; all of them but the long ones if none is named."`
	Short shortCommand `cmd:"" help:"Play the rows that are played before a change lands."`
	Page  pageCommand  `cmd:"" help:"Write the page of faults from the results of all runs."`
}
