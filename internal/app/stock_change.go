package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/stock"
)

// stockChange changes one level. Goods and number are given as arguments or as
// flags.
type stockChange struct {
	databaseCommand
	cli.OutputSettings
	GoodsArg string `arg:"" optional:"" name:"goods" help:"Goods id."`
	NumArg   *int64 `arg:"" optional:"" name:"num" help:"How many."`
	Goods    string `help:"Goods id, instead of the argument."`
	Num      *int64 `help:"How many, instead of the argument."`
	Ref      string `help:"Name of this change, up to 64 bytes. The same change of the same goods under the same name is not applied again, and another change of them is refused; a new name is made up when none is given."`
}

// stockSetCommand makes a level what was counted.
type stockSetCommand struct{ stockChange }

// Run implements a command.
func (c *stockSetCommand) Run(ctx context.Context, s *cli.Session) error {
	return c.apply(ctx, s, "set", stock.Set)
}

// stockAddCommand puts goods on top of a level.
type stockAddCommand struct {
	stockChange
	Findings string `placeholder:"FILE|-" help:"Instead of goods and num: what audit -o jsonl has found. An order's movements are made what its row says where the log confirms it, and a level that is not the sum of its movements is made that. What an order without event took is given back, once, where a person has said so in the finding. Shows what it would do; --execute does it."`
	Execute  bool   `help:"With --findings: do it."`
}

// Run implements a command.
func (c *stockAddCommand) Run(ctx context.Context, s *cli.Session) error {
	if c.Findings != "" {
		return c.mend(ctx, s)
	}
	if c.Execute {
		return cli.Usage("--execute is for --findings: goods and num are added at once")
	}
	return c.apply(ctx, s, "add", stock.Add)
}

// changedLevel is what a change came to.
type changedLevel struct {
	GoodsID  string `json:"goods_id"`
	Before   int64  `json:"before"`
	After    int64  `json:"after"`
	Created  bool   `json:"created"`
	Repeated bool   `json:"repeated"`
	Ref      string `json:"ref"`
	// Rehearsed: nothing was changed, it is what would be.
	Rehearsed bool `json:"rehearsed,omitempty"`
}

func (c *stockChange) apply(ctx context.Context, s *cli.Session, verb string, mode stock.Mode) error {
	line, err := c.line()
	if err != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: err, Try: fmt.Sprintf("%s stock %s --help", s.Name, verb)}
	}
	ref := c.Ref
	if ref == "" {
		ref = newRef()
	}
	l, err := c.connectMigrated(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // the change is committed, or an error is at hand
	change := l.Set
	if mode == stock.Add {
		change = l.Add
	}
	done, err := change(ctx, ref, line)
	if err != nil {
		// The answer may have been lost and not the change: the name makes sure.
		return again(databaseFailure(ctx, err),
			fmt.Sprintf("%s stock %s %s %d --ref %s", s.Name, verb, cli.Word(line.Goods), line.Num, cli.Word(ref)))
	}
	return c.tell(s, changedLevel{GoodsID: done.Goods, Before: done.Before, After: done.After,
		Created: done.Created, Repeated: done.Repeated, Ref: ref})
}

// line is the goods and the number, wherever they were given.
func (c *stockChange) line() (stock.Line, error) {
	goods, num := c.GoodsArg, c.NumArg
	// With --goods the only argument is the number: it stands where the goods
	// would, and cannot be told from one.
	if c.Goods != "" && goods != "" {
		return stock.Line{}, fmt.Errorf("goods is given twice, as %q and as --goods %q", goods, c.Goods)
	}
	if c.Num != nil && num != nil {
		return stock.Line{}, fmt.Errorf("num is given twice, as %d and as --num %d", *num, *c.Num)
	}
	if goods == "" {
		goods = c.Goods
	}
	if num == nil {
		num = c.Num
	}
	if goods == "" || num == nil {
		return stock.Line{}, errors.New("goods and num are needed: as two arguments, or as --goods and --num")
	}
	return stock.Line{Goods: goods, Num: *num}, checkGoods(goods)
}

func (c *stockChange) tell(s *cli.Session, done changedLevel) error {
	if c.Machine() {
		return c.Object(s.Stdout, done)
	}
	_, err := io.WriteString(s.Stdout, done.String())
	return err
}

// String is the change as a line for a person.
func (l changedLevel) String() string {
	note := ""
	switch {
	case l.Repeated:
		note = fmt.Sprintf(" (applied before as %s)", l.Ref)
	case l.Created:
		note = " (new)"
	}
	if l.Rehearsed {
		note += " (not done)"
	}
	return fmt.Sprintf("%s: %d -> %d%s\n", cli.Shown(l.GoodsID), l.Before, l.After, note)
}

// newRef is a name that no other change has.
func newRef() string { return uuid.Must(uuid.NewV7()).String() }

// again makes the repetition of a command the next thing to try, unless the
// command itself was wrong.
func again(err error, command string) error {
	f, ok := errors.AsType[*cli.Failure](err)
	switch {
	case !ok:
		return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: command}
	case f.Code == cli.ExitUsage:
		return err
	default:
		return &cli.Failure{Code: f.Code, Err: f.Err, Try: f.Try + ", then: " + command}
	}
}
