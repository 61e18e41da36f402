package app

import (
	"context"
	"io"
)

// Program is a set of commands under one name, for a main function that brings
// commands of its own.
type Program struct {
	// Name is what the program is called in messages, Help opens its help.
	Name, Help string
	// Commands is a pointer to a struct with a member for each command, tagged
	// for kong. A command is a struct with a method
	//
	//	Run(ctx context.Context, s *Session) error
	//
	// whose ctx ends with the first SIGINT or SIGTERM.
	Commands any
}

// Run carries out one command line and returns the code to exit with.
func (p Program) Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	commands := program{name: p.Name, help: p.Help, commands: p.Commands}
	return commands.run(args, streams{stdin: stdin, stdout: stdout, stderr: stderr})
}

// Session is one call of a program, as its commands see it.
type Session = session

// Stdout takes data and nothing else.
func (s *session) Stdout() io.Writer { return s.stdout }

// Stderr takes talk. It may be written to from many goroutines.
func (s *session) Stderr() io.Writer { return s.stderr }

// Say writes one line of talk.
func (s *session) Say(format string, args ...any) { s.say(format, args...) }

// Abort ends with the second signal: what is in flight is to be given up.
func (s *session) Abort() context.Context { return s.abort }

// VersionCommand says which build a program is.
type VersionCommand = versionCommand

// Failure is an error that ends a program with code; try is the command or the
// setting that the user is told to try next, and may be empty.
func Failure(code Exit, err error, try string) error {
	return &failure{code: code, err: err, try: try}
}
