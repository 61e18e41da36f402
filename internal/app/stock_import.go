package app

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/schollz/progressbar/v3"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// stockImportCommand changes many levels.
type stockImportCommand struct {
	databaseCommand
	cli.OutputSettings
	FileArg string `arg:"" optional:"" name:"file" help:"CSV file with the columns goods_id,num, with or without these names as its first line; - is standard input."`
	File    string `placeholder:"FILE|-" help:"The file, instead of the argument."`
	Mode    string `default:"set" enum:"set,add" help:"set: the numbers are the new levels. add: they are put on top of the old ones."`
	Ref     string `help:"Name of this import, up to 64 bytes. Lines that were applied under the same name are not applied again, so an import that broke off can be repeated; a new name is made up when none is given."`
}

// imported is what an import came to.
type imported struct {
	Ref      string `json:"ref"`
	Goods    int    `json:"goods"`    // in the file
	Created  int    `json:"created"`  // were not in the catalogue before
	Changed  int    `json:"changed"`  // have another level now
	Same     int    `json:"same"`     // had the right level already
	Repeated int    `json:"repeated"` // had been applied under this name before
}

// done is how many lines are applied, now or before.
func (i imported) done() int { return i.Created + i.Changed + i.Same + i.Repeated }

// Run implements a command.
func (c *stockImportCommand) Run(ctx context.Context, s *cli.Session) error {
	switch {
	case c.File != "" && c.FileArg != "":
		return cli.Usage("the file is given twice, as %s and as --file %s", c.FileArg, c.File)
	case c.File == "":
		c.File = c.FileArg
	}
	if c.File == "" {
		return &cli.Failure{Code: cli.ExitUsage, Err: errors.New("a file is needed, or - for standard input"), Try: s.Name + " stock import --help"}
	}
	mode := stock.Set
	if c.Mode == "add" {
		mode = stock.Add
	}
	lines, err := c.read(s, mode)
	if err != nil {
		return err
	}
	ref := c.Ref
	if ref == "" {
		ref = newRef()
	}
	l, err := c.connectMigrated(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // what was applied is committed
	bar := newBar(s, len(lines), "goods")
	got, err := l.Import(ctx, ledger.Import{Ref: ref, Mode: mode, Lines: lines, Progress: func(done, _ int) { bar.set(done) }})
	bar.end()
	answer := imported{Ref: got.Ref, Goods: len(lines), Created: got.Created, Changed: got.Changed, Same: got.Same, Repeated: got.Repeated}
	if err == nil || answer.done() > 0 {
		told := c.tell(s, answer)
		if told != nil {
			return told
		}
	}
	if err == nil {
		return nil
	}
	err = again(databaseFailure(ctx, err), fmt.Sprintf("%s stock import --file %s --mode %s --ref %s", s.Name, cli.Word(c.File), c.Mode, cli.Word(ref)))
	if f, ok := errors.AsType[*cli.Failure](err); ok && answer.done() > 0 {
		f.Code = cli.ExitPartial
	}
	return err
}

// read reads and checks the whole file before anything is applied.
func (c *stockImportCommand) read(s *cli.Session, mode stock.Mode) ([]stock.Line, error) {
	in := s.Stdin
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return nil, &cli.Failure{Code: cli.ExitUsage, Err: fmt.Errorf("import: %w", err)}
		}
		defer file.Close() //nolint:errcheck // it was only read
		in = file
	}
	lines, err := readLevels(in, mode)
	if err != nil {
		return nil, &cli.Failure{Code: cli.ExitUsage, Err: fmt.Errorf("import %s, nothing was applied: %w", c.File, err)}
	}
	if len(lines) == 0 {
		return nil, &cli.Failure{Code: cli.ExitNothing, Err: fmt.Errorf("import %s: it holds no goods", c.File)}
	}
	return lines, nil
}

func (c *stockImportCommand) tell(s *cli.Session, i imported) error {
	if c.Machine() {
		return c.Object(s.Stdout, i)
	}
	_, err := fmt.Fprintf(s.Stdout, "%d of %s as %s: %d created, %d changed, %d as they were, %d applied before\n",
		i.done(), cli.Counted(i.Goods, "line"), i.Ref, i.Created, i.Changed, i.Same, i.Repeated)
	return err
}

// bar shows how far something is: drawn on a terminal, by a line now and then elsewhere.
type bar struct {
	session *cli.Session
	total   int
	things  string
	pace    *cli.Pace
	shown   *progressbar.ProgressBar
}

func newBar(s *cli.Session, total int, things string) bar {
	return bar{session: s, total: total, things: things, pace: cli.NewPace(), shown: progressbar.NewOptions(total,
		progressbar.OptionSetWriter(s.Stderr.Bar()),
		progressbar.OptionSetVisibility(s.Stderr.Terminal),
		progressbar.OptionThrottle(cli.BarEvery),
		progressbar.OptionSetDescription(things),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
	)}
}

// set moves the bar.
func (b bar) set(done int) {
	_ = b.shown.Set(done)
	if !b.session.Stderr.Terminal && b.pace.Due() {
		b.session.Say("%d of %d %s", done, b.total, b.things)
	}
}

// end takes it away.
func (b bar) end() { _ = b.shown.Clear() }
