// Package cli is what the commands of every program have in common: exit codes, errors
// with the next command, standard output for data and standard error for talk, the two
// contexts of a signal.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit is the code a program ends with. Scripts rely on the numbers.
type Exit int

const (
	// ExitOK: everything that was asked for was done.
	ExitOK Exit = 0
	// ExitFailed: something of it was not.
	ExitFailed Exit = 1
	// ExitUsage: the command line or a setting makes no sense; nothing was done.
	ExitUsage Exit = 2
	// ExitNothing: nothing matched what was asked for.
	ExitNothing Exit = 3
	// ExitPartial: a part was done, and the answer says which.
	ExitPartial Exit = 4
	// ExitUnreachable: a server that is needed does not answer.
	ExitUnreachable Exit = 5
)

// Failure is an error that knows the code to end with and, where there is
// one, the next thing to do. An error that is no failure ends with ExitFailed.
type Failure struct {
	Code Exit
	Err  error
	Try  string // a command or a setting, as the user would type it; may be empty
}

// Error is the error alone: what to try is for the last line that is printed.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the error.
func (f *Failure) Unwrap() error { return f.Err }

// Usage is the failure of a command line that kong lets pass and that still
// makes no sense.
func Usage(format string, args ...any) error {
	return &Failure{Code: ExitUsage, Err: fmt.Errorf(format, args...)}
}

// Session is one call of a program. Every command is a struct with a method
//
//	Run(ctx context.Context, s *Session) error
//
// whose ctx ends with the first SIGINT or SIGTERM: stop, and say what was done.
// A command that has work in flight lets it end under s.Abort instead.
type Session struct {
	// Name is what the program is called in messages.
	Name string
	// help is the command that shows the help of the command this is a call of.
	help string
	// Stdin is what the command is given to read.
	Stdin io.Reader
	// Stdout takes data and nothing else.
	Stdout io.Writer
	// Stderr takes talk. It may be written to from many goroutines.
	Stderr *Talker
	// Abort ends with the second signal: give up what is in flight. It does not
	// end with the first one.
	Abort context.Context //nolint:containedctx // the second of two contexts; a command is handed the first
}

// Say writes one line of talk.
func (s *Session) Say(format string, args ...any) {
	fmt.Fprintf(s.Stderr, format+"\n", args...)
}

// Program is a set of commands under one name.
type Program struct {
	// Name is what the program is called in messages, Help opens its help.
	Name, Help string
	// Commands is a pointer to a struct with a member for each command, tagged for
	// kong. A command is a struct with the method that [Session] tells of.
	Commands any
	// Before is called before the command of a line; may be nil.
	Before func(line *kong.Context, s *Session)
}

// Streams are the files a program was started with.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Standard are the files of this process.
func Standard() Streams {
	return Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
}

// Run carries out one command line and returns the code to exit with.
func (p Program) Run(args []string, io Streams) int {
	signals := make(chan os.Signal, signalsHeld)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	return int(p.RunUnder(signals, args, io))
}

// signalsHeld: the two signals that mean something.
const signalsHeld = 2

// RunUnder is Run with the signals of the caller's choice.
func (p Program) RunUnder(signals chan os.Signal, args []string, io Streams) Exit {
	s := &Session{Name: p.Name, Stdin: io.Stdin, Stdout: io.Stdout, Stderr: NewTalker(io.Stderr)}
	parser, exited, err := p.parser(s)
	if err != nil {
		return s.end(err)
	}
	line, err := parser.Parse(args)
	s.help = p.helpFor(line, err)
	switch {
	case *exited >= 0: // help was asked for and given
		return Exit(*exited)
	case err != nil:
		return s.end(&Failure{Code: ExitUsage, Err: err, Try: s.help})
	}
	watch := watchSignals(signals, s)
	defer watch.close()
	s.Abort = watch.abort
	line.BindTo(watch.stop, (*context.Context)(nil))
	if p.Before != nil {
		p.Before(line, s)
	}
	err = line.Run(s)
	if err != nil && errors.Is(err, context.Canceled) && watch.stop.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(watch.stop), err)
	}
	return s.end(err)
}

// parser reads the struct of commands. The number it returns a pointer to is
// the code that kong itself wanted to exit with, or -1.
func (p Program) parser(s *Session) (*kong.Kong, *int, error) {
	exited := -1
	parser, err := kong.New(p.Commands,
		kong.Name(p.Name),
		kong.Description(p.Help),
		kong.Writers(s.Stdout, s.Stderr),
		// Exiting here would make the program untestable, and would skip the
		// deferred calls of its caller.
		kong.Exit(func(code int) { exited = code }),
		kong.NamedMapper("path", kong.MapperFunc(pathSetting)),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, WrapUpperBound: helpWidth}),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("commands of %s: %w", p.Name, err)
	}
	return parser, &exited, nil
}

// pathSetting reads a setting that names a file. An empty one, which a variable
// without a value is, names none: kong's own mapper would take it for the
// current folder.
func pathSetting(c *kong.DecodeContext, target reflect.Value) error {
	var path string
	err := c.Scan.PopValueInto("file", &path)
	if err != nil {
		return err
	}
	if path != "" && path != "-" {
		path = kong.ExpandPath(path)
	}
	target.SetString(path)
	return nil
}

// helpWidth is where help is wrapped on a wider terminal.
const helpWidth = 110

// helpFor is the command that shows the help of the command of a line, also of one
// that was got wrong.
func (p Program) helpFor(line *kong.Context, err error) string {
	name := p.Name
	if parse, ok := errors.AsType[*kong.ParseError](err); ok {
		line = parse.Context
	}
	if line != nil && line.Command() != "" {
		words := strings.Fields(line.Command())
		// Its arguments are named there, too: <goods>.
		words = slices.DeleteFunc(words, func(word string) bool { return strings.HasPrefix(word, "<") })
		name += " " + strings.Join(words, " ")
	}
	return name + " --help"
}

// end says why a command failed and what to try, and returns the code.
func (s *Session) end(err error) Exit {
	if err == nil {
		return ExitOK
	}
	s.Say("%s: %v", s.Name, err)
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		return ExitFailed
	}
	try := f.Try
	if try == "" && f.Code == ExitUsage {
		try = s.help
	}
	if try != "" {
		s.Say("  try: %s", try)
	}
	return f.Code
}
