package app

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

// failure is an error that knows the code to end with and, where there is
// one, the next thing to do. An error that is no failure ends with ExitFailed.
type failure struct {
	code Exit
	err  error
	try  string // a command or a setting, as the user would type it; may be empty
}

// Error is the error alone: what to try is for the last line that is printed.
func (f *failure) Error() string { return f.err.Error() }

// Unwrap returns the error.
func (f *failure) Unwrap() error { return f.err }

// usage is the failure of a command line that kong lets pass and that still
// makes no sense.
func usage(format string, args ...any) error {
	return &failure{code: ExitUsage, err: fmt.Errorf(format, args...)}
}

// session is one call of a program. Every command is a struct with a method
//
//	Run(ctx context.Context, s *session) error
//
// whose ctx ends with the first SIGINT or SIGTERM: stop, and say what was done.
// A command that has work in flight lets it end under s.abort instead.
type session struct {
	// name is what the program is called in messages.
	name string
	// help is the command that shows the help of the command this is a call of.
	help  string
	stdin io.Reader
	// stdout takes data and nothing else.
	stdout io.Writer
	// stderr takes talk. It may be written to from many goroutines.
	stderr *talker
	// abort ends with the second signal: give up what is in flight. It does not
	// end with the first one.
	abort context.Context //nolint:containedctx // the second of two contexts; a command is handed the first
}

// say writes one line of talk.
func (s *session) say(format string, args ...any) {
	fmt.Fprintf(s.stderr, format+"\n", args...)
}

// program is a set of commands under one name.
type program struct {
	name string
	help string
	// commands is a pointer to the struct that kong reads: a member for each
	// command.
	commands any
}

// streams are the files a program was started with.
type streams struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// run carries out one command line and returns the code to exit with.
func (p program) run(args []string, io streams) int {
	signals := make(chan os.Signal, signalsHeld)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	return int(p.runUnder(signals, args, io))
}

// signalsHeld: the two signals that mean something.
const signalsHeld = 2

// runUnder is run with the signals of the caller's choice.
func (p program) runUnder(signals chan os.Signal, args []string, io streams) Exit {
	s := &session{name: p.name, stdin: io.stdin, stdout: io.stdout, stderr: newTalker(io.stderr)}
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
		return s.end(&failure{code: ExitUsage, err: err, try: s.help})
	}
	watch := watchSignals(signals, s)
	defer watch.close()
	s.abort = watch.abort
	line.BindTo(watch.stop, (*context.Context)(nil))
	warnInsecure(line, s)
	err = line.Run(s)
	if err != nil && errors.Is(err, context.Canceled) && watch.stop.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(watch.stop), err)
	}
	return s.end(err)
}

// parser reads the struct of commands. The number it returns a pointer to is
// the code that kong itself wanted to exit with, or -1.
func (p program) parser(s *session) (*kong.Kong, *int, error) {
	exited := -1
	parser, err := kong.New(p.commands,
		kong.Name(p.name),
		kong.Description(p.help),
		kong.Writers(s.stdout, s.stderr),
		// Exiting here would make the program untestable, and would skip the
		// deferred calls of its caller.
		kong.Exit(func(code int) { exited = code }),
		kong.NamedMapper("path", kong.MapperFunc(pathSetting)),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, WrapUpperBound: helpWidth}),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("commands of %s: %w", p.name, err)
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
func (p program) helpFor(line *kong.Context, err error) string {
	name := p.name
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
func (s *session) end(err error) Exit {
	if err == nil {
		return ExitOK
	}
	s.say("%s: %v", s.name, err)
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return ExitFailed
	}
	try := f.try
	if try == "" && f.code == ExitUsage {
		try = s.help
	}
	if try != "" {
		s.say("  try: %s", try)
	}
	return f.code
}
