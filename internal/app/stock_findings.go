package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"orderconsumer/internal/audit"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// mend applies the findings about goods that audit has written: what an order
// without event took is given back, and a level that is not the sum of its
// movements is made that. Findings about events are about what is to be read again.
func (c *stockAddCommand) mend(ctx context.Context, s *session) error {
	if c.GoodsArg != "" || c.Goods != "" || c.NumArg != nil || c.Num != nil || c.Ref != "" {
		return usage("--findings takes neither goods nor num nor --ref: they are in the findings")
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
	m := mender{command: c, ledger: l, session: s}
	err = readFindings(in, func(f *shownFinding) error { return m.finding(ctx, f) })
	if err != nil {
		return again(databaseFailure(ctx, err), fmt.Sprintf("%s stock add --findings %s", s.name, word(c.Findings)))
	}
	s.say("%s mended, %s about something else", counted(m.mended, "finding"), counted(m.others, "finding"))
	if m.mended == 0 {
		return &failure{code: ExitNothing, err: errors.New("no finding is about goods"), try: s.name + " audit --log -o jsonl"}
	}
	return nil
}

// mender works through findings.
type mender struct {
	command *stockAddCommand
	ledger  *ledger.Ledger
	session *session
	mended  int
	others  int
}

// finding mends one, if it is about goods.
func (m *mender) finding(ctx context.Context, f *shownFinding) error {
	switch f.Rule {
	case audit.RuleNoEvent:
		if len(f.Items) == 0 {
			m.others++ // it has taken nothing
			return nil
		}
		// A name of the order's own makes giving back happen once, however often the
		// findings come.
		ref := fmt.Sprintf("audit-%x", sha256.Sum256([]byte(f.OrderID)))[:len("audit-")+32]
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
		done, err := m.ledger.Recount(ctx, f.GoodsID)
		if err != nil {
			return err
		}
		err = m.tell(done, "")
		if err != nil {
			return err
		}
	default:
		m.others++
		return nil
	}
	m.mended++
	return nil
}

func (m *mender) tell(done stock.Adjusted, ref string) error {
	return m.command.tell(m.session, changedLevel{GoodsID: done.Goods, Before: done.Before, After: done.After,
		Created: done.Created, Repeated: done.Repeated, Ref: ref})
}
