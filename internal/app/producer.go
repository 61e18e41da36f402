package app

import (
	"io"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/publish"
)

// producerCommands are the commands of the producer.
type producerCommands struct {
	Publish  publish.Command         `cmd:"" help:"Publish order events from a file or from standard input."`
	Generate publish.GenerateCommand `cmd:"" help:"Make up a shop's orders and publish them."`
	Redrive  redriveCommands         `cmd:"" help:"Look through a group's dead letters, and bring them back."`
	Replay   replayCommands          `cmd:"" help:"Publish a part of a topic again: say first what that would do."`
	Version  cli.VersionCommand      `cmd:"" help:"Say which build this is."`
}

// ProducerProgram is the producer with its commands. The zero value is the one
// that is run for real.
type ProducerProgram struct {
	// Name is what the program is called in messages; empty means producer.
	Name string
	// OpenLedger opens the database, for replays; nil means MySQL or MariaDB.
	OpenLedger OpenLedger
}

// Run carries out one command line and returns the code to exit with.
func (p ProducerProgram) Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return p.program().Run(args, cli.Streams{Stdin: stdin, Stdout: stdout, Stderr: stderr})
}

func (p ProducerProgram) program() cli.Program {
	name, open := p.Name, p.OpenLedger
	if name == "" {
		name = "producer"
	}
	if open == nil {
		open = openLedger
	}
	return cli.Program{Name: name, Help: producerHelp, Commands: newProducerCommands(open), Before: warnInsecure}
}

// newProducerCommands gives every command that works on the database the way to
// open it.
func newProducerCommands(open OpenLedger) *producerCommands {
	c := &producerCommands{}
	c.Redrive.Groups.open = open
	c.Redrive.List.open = open
	c.Redrive.Show.open = open
	c.Redrive.Retry.open = open
	c.Redrive.Archive.open = open
	c.Redrive.Restore.open = open
	c.Replay.Run.open = open
	c.Replay.List.open = open
	c.Replay.Show.open = open
	c.Replay.Resume.open = open
	c.Replay.Cancel.open = open
	return c
}

const producerHelp = `Publishes order events to Kafka, keyed by order, and waits until every in-sync replica has them.

Exit codes: 0 everything was delivered, 1 something was not (and is in the file that the last lines name), ` +
	`2 usage, 3 nothing matched, 4 a replay has stopped half-way and can be resumed, 5 a server cannot be reached.`

// Producer carries out one command line of the producer and returns the code
// to exit with.
func Producer(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return ProducerProgram{}.Run(args, stdin, stdout, stderr)
}

func producerProgram() cli.Program { return ProducerProgram{}.program() }
