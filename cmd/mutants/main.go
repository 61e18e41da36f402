// Command mutants sows bugs into the source and lets the tests hunt them.
// scripts/mutants runs it.
package main

import (
	"os"

	"orderconsumer/internal/cli"
)

func main() {
	p := cli.Program{Name: "mutants", Help: help, Commands: &commands{}}
	os.Exit(p.Run(os.Args[1:], cli.Standard()))
}

const help = `Test the tests: sow one bug at a time, and run the layers of tests, the cheapest first, until one fails.

The files on disk stay as they are: the compiler reads others in place of those with a bug in them. docs/mutants.md shows what caught what.`

// commands are what can be done with seeded bugs.
type commands struct {
	List  listCommand  `cmd:"" help:"Show the bugs, and what has caught each."`
	Check checkCommand `cmd:"" help:"Do all of them still apply and compile? Seconds."`
	Hunt  huntCommand  `cmd:"" help:"Sow bugs, run the tests, and keep what came of it in mutants/results.jsonl."`
	Play  playCommand  `cmd:"" help:"Sow bugs and play worlds of the simulator until one goes wrong. Much of the source is not played: that a bug passes is no error."`
	Page  pageCommand  `cmd:"" help:"Write docs/mutants.md from the results."`
}
