package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"orderconsumer/internal/audit"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/report"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// mend applies the findings about goods and about the rows of orders that audit has
// written: an order's movements are made what its row says, and a level is made the sum
// of its movements. What an order without event took is given back where a person has
// said so in the finding. Findings about events are about what is to be read again.
// Without --execute it says what it would do.
func (c *stockAddCommand) mend(ctx context.Context, s *cli.Session) error {
	if c.GoodsArg != "" || c.Goods != "" || c.NumArg != nil || c.Num != nil || c.Ref != "" {
		return cli.Usage("--findings takes neither goods nor num nor --ref: they are in the findings")
	}
	in, err := openFindings(s, c.Findings)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	l, err := c.connectMigrated(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // what was changed is committed
	m := mender{command: c, ledger: l, session: s, pace: cli.NewPace(),
		out: rowWriter[changedLevel]{OutputSettings: c.OutputSettings, to: s.Stdout, member: "levels"}}
	if !c.Execute {
		m.ledger = l.Rehearse()
	}
	looked := 0
	err = readFindings(in, func(f *report.Finding) error {
		looked++
		m.goesOn("%s looked at", cli.Counted(looked, "finding"))
		return m.finding(ctx, f)
	})
	if err == nil {
		err = m.recount(ctx)
	}
	// Whatever came of it, the document has an end.
	if told := m.out.end(); err == nil {
		err = told
	}
	if err != nil {
		err = again(databaseFailure(ctx, err), c.onceMore(s))
		if f, ok := errors.AsType[*cli.Failure](err); ok && c.Execute && m.mended+m.out.n > 0 {
			f.Code = cli.ExitPartial
		}
		return err
	}
	return m.end()
}

// onceMore is the command line, as it is to be typed once more.
func (c *stockAddCommand) onceMore(s *cli.Session) string {
	line := fmt.Sprintf("%s stock add --findings %s", s.Name, cli.Word(c.Findings))
	if c.Execute {
		line += " --execute"
	}
	return line
}

// mends is what changes the database for findings: the ledger, or a rehearsal of it.
type mends interface {
	MendOrder(ctx context.Context, order string) (ledger.Mended, error)
	Recount(ctx context.Context, goods string) (stock.Adjusted, error)
	Add(ctx context.Context, ref string, line stock.Line) (stock.Adjusted, error)
}

// mender works through findings.
type mender struct {
	command *stockAddCommand
	ledger  mends
	session *cli.Session
	out     rowWriter[changedLevel]
	pace    *cli.Pace
	mended  int
	others  int
	rows    int // of those others: about an order's rows, which the log has to confirm
	doubts  int // of those rows: about movements, of which levels are the sum
	levels  []*report.Finding
	twice   int // not mended, because there is less than was sold
	broken  int // not mended, because the order's row cannot be read
}

// aboutRows are the findings about an order's row and its movements: those are mended
// that say so.
var aboutRows = []audit.Rule{audit.RuleNoEvent, audit.Rule(stock.RuleDeducted), audit.Rule(stock.RuleReleased), audit.Rule(stock.RuleUntouched), audit.Rule(stock.RuleNoOrder)}

// goesOn says now and then how far the work is.
func (m *mender) goesOn(format string, args ...any) {
	if m.pace.Due() {
		m.session.Say(format, args...)
	}
}

// end says what was done, and what is left.
func (m *mender) end() error {
	mended, name := "mended", m.session.Name
	if !m.command.Execute {
		mended = "would be mended"
	}
	m.session.Say("%s %s, %s about something else", cli.Counted(m.mended, "finding"), mended, cli.Counted(m.others, "finding"))
	if !m.command.Execute && m.mended > 0 {
		m.session.Say("nothing was changed: add --execute to do it")
	}
	if m.rows > 0 {
		m.session.Say("%s left, about orders: they are mended where %s audit --log has found them and the log confirms the row; "+
			"docs/redrive.md says what to do about the rest", findingsAre(m.rows), name)
	}
	switch {
	case m.twice+m.broken > 0:
		code := cli.ExitPartial
		if m.mended == 0 {
			code = cli.ExitFailed
		}
		return &cli.Failure{Code: code, Err: m.left(), Try: m.way()}
	case m.mended == 0:
		return &cli.Failure{Code: cli.ExitNothing, Err: errors.New("no finding is one that stock add mends"), Try: name + " audit --log -o jsonl"}
	}
	return nil
}

// left says what stock add would mend and cannot.
func (m *mender) left() error {
	const twice, broken = "more was sold than was there", "the order's row cannot be read"
	switch {
	case m.broken == 0:
		return fmt.Errorf("%s not mended: %s", findingsAre(m.twice), twice)
	case m.twice == 0:
		return fmt.Errorf("%s not mended: %s", findingsAre(m.broken), broken)
	default:
		return fmt.Errorf("%s not mended: of %d, %s; of %d, %s", findingsAre(m.twice+m.broken), m.twice, twice, m.broken, broken)
	}
}

// way is what helps on.
func (m *mender) way() string {
	const rows = "docs/redrive.md says what to do about a row that cannot be read"
	if m.twice == 0 {
		return rows
	}
	goods := m.session.Name + " stock add GOODS NUM with what is there after all, or a cancel of an order that has it; then this command again"
	if m.broken == 0 {
		return goods
	}
	return goods + "; " + rows
}

// finding mends one, if it is about goods or an order's rows.
func (m *mender) finding(ctx context.Context, f *report.Finding) error {
	if slices.Contains(aboutRows, f.Rule) && f.MendedBy != audit.MendStock {
		m.rows++
		m.others++
		if f.Rule != audit.RuleNoEvent {
			m.doubts++
		}
		return nil
	}
	switch f.Rule {
	case audit.RuleNoEvent: // a person has looked at it, and set mended_by
		if len(f.Items) == 0 {
			m.others++ // it has taken nothing
			return nil
		}
		ref := audit.GivenBackRef(f.OrderID)
		for _, item := range f.Items {
			done, err := m.ledger.Add(ctx, ref, stock.Line{Goods: item.GoodsID, Num: item.Num})
			if err != nil {
				return err
			}
			err = m.tell(done, ref)
			if err != nil {
				return err
			}
		}
	case audit.Rule(stock.RuleSum), audit.Rule(stock.RuleNoLevel):
		if f.MendedBy != "" && f.MendedBy != audit.MendStock {
			m.others++ // a person has looked at it, and set mended_by
			return nil
		}
		m.levels = append(m.levels, f) // when all movements are mended
		return nil
	default:
		if slices.Contains(aboutRows, f.Rule) {
			return m.order(ctx, f)
		}
		m.others++
		return nil
	}
	m.mended++
	return nil
}

// recount makes levels the sum of their movements. While movements of any order are in
// doubt, no level is believed to be the wrong one of the two: an order of which too
// little is said to have been taken would put goods back that are sold.
func (m *mender) recount(ctx context.Context) error {
	if m.doubts > 0 {
		m.others += len(m.levels)
		if len(m.levels) > 0 {
			m.session.Say("%s left, about levels: movements of orders are in doubt, and a level is their sum", findingsAre(len(m.levels)))
		}
		return nil
	}
	for i, f := range m.levels {
		m.goesOn("%d of %s recounted", i, cli.Counted(len(m.levels), "level"))
		done, err := m.ledger.Recount(ctx, f.GoodsID)
		if err != nil {
			err = m.skip(f, err)
		} else {
			m.mended++
			err = m.tell(done, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// findingsAre is the subject of a sentence.
func findingsAre(n int) string {
	if n == 1 {
		return "1 finding is"
	}
	return cli.Counted(n, "finding") + " are"
}

// order makes the movements of an order what its row says.
func (m *mender) order(ctx context.Context, f *report.Finding) error {
	done, err := m.ledger.MendOrder(ctx, f.OrderID)
	if err != nil {
		return m.skip(f, err)
	}
	m.mended++
	if len(done.Removed)+len(done.Added) > 0 {
		says := "order %s: removed %s, added %s"
		if !m.command.Execute {
			says = "order %s: would remove %s and add %s"
		}
		m.session.Say(says, cli.Shown(f.OrderID), moved(done.Removed), moved(done.Added))
	}
	for _, level := range done.Levels {
		if err := m.tell(level, ""); err != nil {
			return err
		}
	}
	return nil
}

// skip goes on after a finding that cannot be mended because there is less than was
// sold, or because the order's row cannot be read; every other error ends the work.
func (m *mender) skip(f *report.Finding, err error) error {
	switch {
	case errors.Is(err, stock.ErrOversold):
		m.twice++
	case errors.Is(err, stock.ErrInvalid):
		m.broken++
	default:
		return err
	}
	m.session.Say("%s is left: %v", f.Rule, err)
	return nil
}

// moved names movements: deduct apple -2.
func moved(movements []stock.Movement) string {
	const most = 5 // enough to recognise an order by
	var parts []string
	for i, mv := range movements {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(movements)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %s %+d", mv.Kind, cli.Shown(mv.Goods), mv.Delta))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func (m *mender) tell(done stock.Adjusted, ref string) error {
	return m.out.row(changedLevel{GoodsID: done.Goods, Before: done.Before, After: done.After,
		Created: done.Created, Repeated: done.Repeated, Ref: ref, Rehearsed: !m.command.Execute})
}
