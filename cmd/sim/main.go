// Command sim plays worlds in which everything around the consumers breaks, in
// virtual time, and holds what became of the orders against the promise.
package main

import (
	"os"
	"strings"

	"orderconsumer/internal/cli"
)

func main() {
	p := cli.Program{Name: "sim", Help: help, Commands: &commands{}}
	os.Exit(p.Run(twoDashes(os.Args[1:]), cli.Standard()))
}

const help = `Play worlds in which everything around the consumers breaks, in virtual time, and hold what became of the orders against the promise.

One seed is one world: it decides the settings, the orders, and what breaks when. No server is needed. A seed that fails is told with its world and the command that plays it again; docs/simulator.md says what is played and what is not.`

// commands are what can be done.
type commands struct {
	Run runCommand `cmd:"" default:"withargs" help:"Play seeds (the default command)."`
}

// twoDashes lets flags be given as go test takes them, with one dash.
func twoDashes(args []string) []string {
	const shortFlag = len("-o")
	var twice []string
	for _, arg := range args {
		if len(arg) > shortFlag && arg[0] == '-' && !strings.HasPrefix(arg, "--") {
			arg = "-" + arg
		}
		twice = append(twice, arg)
	}
	return twice
}
