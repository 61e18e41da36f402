package app

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// stockGetCommand shows the levels of some goods.
type stockGetCommand struct {
	databaseCommand
	cli.OutputSettings
	Goods []string `arg:"" help:"Goods ids."`
}

// Run implements a command.
func (c *stockGetCommand) Run(ctx context.Context, s *cli.Session) error {
	l, err := c.connectMigrated(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // nothing is under way
	found, err := l.Levels(ctx, c.Goods)
	if err != nil {
		return databaseFailure(ctx, err)
	}
	var levels []stock.Level
	unknown := []string{}
	asked := map[string]bool{}
	for _, id := range c.Goods {
		level, ok := found[id]
		switch {
		case asked[id]:
		case ok:
			levels = append(levels, level)
		default:
			unknown = append(unknown, id)
		}
		asked[id] = true
	}
	w := newLevelWriter(c.OutputSettings, s.Stdout)
	err = w.write(levels)
	if err == nil {
		err = w.endWith("unknown", unknown)
	}
	if err != nil || len(unknown) == 0 {
		return err
	}
	f := &cli.Failure{Code: cli.ExitNothing, Try: s.Name + " stock list"}
	if len(levels) > 0 {
		f.Code = cli.ExitPartial
	}
	f.Err = fmt.Errorf("not in the catalogue: %s", strings.Join(mapped(unknown, cli.Shown), ", "))
	return f
}

func mapped(list []string, change func(string) string) []string {
	changed := make([]string, len(list))
	for i, s := range list {
		changed[i] = change(s)
	}
	return changed
}

// stockListCommand shows all levels.
type stockListCommand struct {
	databaseCommand
	cli.OutputSettings
	cli.ListLimit
	After string `help:"Begin behind this goods id."`
}

const (
	// levelsShown is how many levels a person is shown.
	levelsShown = 100
	// listPage is how many levels are read at a time.
	listPage = 1000
)

// Run implements a command.
func (c *stockListCommand) Run(ctx context.Context, s *cli.Session) error {
	left, err := c.Most(c.OutputSettings, levelsShown)
	if err != nil {
		return err
	}
	if left == 0 {
		left = math.MaxInt
	}
	l, err := c.connectMigrated(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // nothing is under way
	w := newLevelWriter(c.OutputSettings, s.Stdout)
	more, err := c.pages(ctx, l, left, w)
	if err != nil {
		return databaseFailure(ctx, err)
	}
	err = w.endWith("next", more)
	if err != nil {
		return err
	}
	if more != nil {
		s.Say("there are more: %s stock list --after %s, or --limit 0", s.Name, cli.Word(*more))
	}
	return nil
}

// pages writes up to left levels and returns the last goods if others follow.
func (c *stockListCommand) pages(ctx context.Context, l *ledger.Ledger, left int, w *levelWriter) (*string, error) {
	after := c.After
	for {
		asked := min(left, listPage) + 1 // one more, to know whether there is one
		page, err := l.List(ctx, after, asked)
		if err != nil {
			return nil, err
		}
		more := len(page) == asked
		if more {
			page = page[:asked-1]
		}
		err = w.write(page)
		if err != nil {
			return nil, err
		}
		left -= len(page)
		if !more {
			return nil, nil //nolint:nilnil // no goods follow
		}
		after = page[len(page)-1].Goods
		if left == 0 {
			return &after, nil
		}
	}
}

// shownLevel is a level as the API shows it, too.
type shownLevel struct {
	GoodsID   string `json:"goods_id"`
	Available int64  `json:"available"`
	UpdatedAt string `json:"updated_at"`
}

func newShownLevel(l stock.Level) shownLevel {
	return shownLevel{GoodsID: l.Goods, Available: l.Available, UpdatedAt: l.UpdatedAt.UTC().Format(order.TimeFormat)}
}

// levelWriter writes levels as they come, a page at a time.
type levelWriter struct {
	rowWriter[levelRow]
	width int // of the first column
}

func newLevelWriter(o cli.OutputSettings, to io.Writer) *levelWriter {
	return &levelWriter{rowWriter: rowWriter[levelRow]{OutputSettings: o, to: to, member: "stock"}}
}

// levelRow is a level as it is written.
type levelRow struct {
	shownLevel
	width int
}

// Widths of the columns of a table, at least.
const (
	goodsWidth     = len("GOODS")
	availableWidth = len("AVAILABLE")
)

// String is the level as a line of a table.
func (r levelRow) String() string {
	return fmt.Sprintf("%-*s  %*d  %s\n", r.width, cli.Shown(r.GoodsID), availableWidth, r.Available, r.UpdatedAt)
}

// write writes some more levels. The first column is as wide as these of the first
// call want it.
func (w *levelWriter) write(levels []stock.Level) error {
	if w.n == 0 {
		w.width = goodsWidth
		for _, level := range levels {
			w.width = max(w.width, len([]rune(cli.Shown(level.Goods))))
		}
		w.head = fmt.Sprintf("%-*s  %*s  %s\n", w.width, "GOODS", availableWidth, "AVAILABLE", "UPDATED")
	}
	var page strings.Builder // one call of the system for all of them
	to := w.to
	w.to = &page
	for _, level := range levels {
		if err := w.row(levelRow{newShownLevel(level), w.width}); err != nil {
			return err
		}
	}
	w.to = to
	return w.text(page.String())
}
