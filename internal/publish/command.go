// Package publish is what producer publish and producer generate do: they read or make up order
// events and publish them, and what is not delivered goes to a file, ready to be published.
package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/settings"
)

// standardInput is how a command line names it.
const standardInput = "-"

// Command publishes the events of a file.
type Command struct {
	File       string `short:"f" env:"PUBLISH_FILE" default:"-" help:"File to publish; - is standard input."`
	Format     string `env:"PUBLISH_FORMAT" default:"auto" enum:"auto,jsonl,csv" help:"jsonl: one event a line, as the contract has it. csv: order_id,goods_id,num, a header line is recognised; the lines of one order must stand together, since a line that comes later finds its order published without it. auto: by the file's name, else by its first character."`
	NoValidate bool   `aliases:"force" env:"PUBLISH_NO_VALIDATE" help:"Publish even lines that the consumer can only dead-letter; empty lines are skipped all the same. --force is another name for it. Both are for jsonl: they have no effect on csv."`

	Target  TargetSettings   `embed:""`
	Payload settings.Payload `embed:""`
	cli.OutputSettings
}

// Run implements a command.
func (c *Command) Run(ctx context.Context, s *cli.Session) error {
	file, size, err := c.open(s)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is only read
	err = c.Target.checkFailedFile()
	if err != nil {
		return err
	}
	target, err := c.Target.open(ctx, s)
	if err != nil {
		return err
	}
	defer target.close(s.Abort)
	t := newTally(s)
	t.complaints.shown = c.Payload.Shown()
	lines := readLines(ctx, file, &t.bytes)
	reader := &eventReader{cmd: c, lines: lines, tally: t, failed: &failedFile{}}
	d := c.Target.deliverer(target, s, t, reader.failed)
	done := t.showProgress(progressTotal{bytes: size})
	d.run(limited(ctx, reader.events(), c.Target.Rate))
	done()
	return c.conclude(ctx, s, t, reader)
}

// conclude says how it went: to a person on standard error, to a program on
// standard output.
func (c *Command) conclude(ctx context.Context, s *cli.Session, t *tally, r *eventReader) error {
	r.failed.close()
	t.complaints.end()
	if r.err != nil { // it is no file of events; nothing was published
		return r.err
	}
	sum := t.summary(c.Target.Topic, r.failed)
	sum.Stopped = ctx.Err() != nil
	s.Say("%s", sum.text())
	if c.Machine() {
		err := c.Object(s.Stdout, sum)
		if err != nil {
			return err
		}
	}
	if err := r.lines.err(); err != nil {
		return fmt.Errorf("read %s after line %d: %w", c.File, r.last, err)
	}
	return errors.Join(r.failed.err, c.shortfall(ctx, sum, r))
}

// shortfall is the error when something was not delivered.
func (c *Command) shortfall(ctx context.Context, sum publishSummary, r *eventReader) error {
	if sum.Stopped {
		f := &cli.Failure{
			Code: cli.ExitFailed,
			Err:  fmt.Errorf("%w after line %d of %s: what follows was not read", context.Cause(ctx), r.last, c.File),
		}
		if c.File != standardInput {
			f.Try = fmt.Sprintf("tail -n +%d %s | producer publish --topic %s --format %s", r.last+1, c.File, c.Target.Topic, r.format)
		}
		return f
	}
	return sum.shortfall()
}

// failedPath is where undelivered lines go.
func (c *Command) failedPath(format string) string {
	switch {
	case c.Target.FailedFile != "":
		return c.Target.FailedFile
	case c.File == standardInput:
		return "publish.failed." + format
	default:
		return c.File + ".failed." + format
	}
}

// open opens the input. Its size is zero when it is not known.
func (c *Command) open(s *cli.Session) (_ io.ReadCloser, size int64, _ error) {
	if c.File == standardInput {
		if file, ok := s.Stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			s.Say("%s: reading events from the terminal, one a line; Ctrl-D ends", s.Name)
		}
		return io.NopCloser(s.Stdin), 0, nil
	}
	if sameFile(c.File, c.Target.FailedFile) {
		return nil, 0, cli.Usage("%s cannot be read and take the failed lines at the same time", c.File)
	}
	file, err := os.Open(c.File)
	if err != nil {
		return nil, 0, cli.Usage("%w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(cli.Usage("%w", err), file.Close())
	}
	if info.IsDir() {
		return nil, 0, errors.Join(cli.Usage("%s is a folder", c.File), file.Close())
	}
	return file, info.Size(), nil
}

// sameFile is true for two names of one file.
func sameFile(a, b string) bool {
	if b == "" {
		return false
	}
	first, errFirst := filepath.Abs(a)
	second, errSecond := filepath.Abs(b)
	return errFirst == nil && errSecond == nil && first == second
}
