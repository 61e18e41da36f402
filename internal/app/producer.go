package app

import "io"

// producerCommands are the commands of the producer.
type producerCommands struct {
	Publish  publishCommand  `cmd:"" help:"Publish order events from a file or from standard input."`
	Generate generateCommand `cmd:"" help:"Make up a shop's orders and publish them."`
	Version  versionCommand  `cmd:"" help:"Say which build this is."`
}

const producerHelp = `Publishes order events to Kafka, keyed by order, and waits until every in-sync replica has them.

Exit codes: 0 everything was delivered, 1 something was not (and is in the file that the last lines name), ` +
	`2 usage, 5 Kafka cannot be reached.`

// Producer carries out one command line of the producer and returns the code
// to exit with.
func Producer(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return producerProgram().run(args, streams{stdin: stdin, stdout: stdout, stderr: stderr})
}

func producerProgram() program {
	return program{name: "producer", help: producerHelp, commands: &producerCommands{}}
}
