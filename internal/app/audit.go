package app

import (
	"context"
	"fmt"
	"io"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/report"
	"orderconsumer/internal/stock"
)

// auditCommand holds every row against what is promised of it, and the log
// against the rows.
type auditCommand struct {
	databaseCommand
	cli.OutputSettings
	LogAuditSettings
}

// Run implements a command.
func (c *auditCommand) Run(ctx context.Context, s *cli.Session) error {
	l, err := c.connectMigrated(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // it was only read
	if c.Log {
		return c.auditLog(ctx, s, l)
	}
	w := newAuditWriter(c.OutputSettings, s.Stdout)
	pace := cli.NewPace()
	summary, err := l.Audit(ctx, stock.AuditOptions{
		Report: func(f stock.Finding) { w.row(report.OfLedger(f)) },
		Progress: func(now stock.Summary) {
			if pace.Due() {
				s.Say("audit: %s, %s, %s so far", cli.Counted64(now.Orders, "order"), cli.Counted64(now.Movements, "movement"), cli.Counted64(now.Goods, "goods id"))
			}
		},
	})
	if err != nil {
		// What was found up to here stands, and the rest was not looked at.
		w.breakOff(err)
		return databaseFailure(ctx, err)
	}
	w.end(report.NewSummary(summary))
	if w.err != nil {
		return w.err
	}
	if !summary.Clean() {
		return &cli.Failure{Code: cli.ExitFailed, Err: report.Dirty(summary), Try: mending(s)}
	}
	return nil
}

// mending is what to do about findings.
func mending(s *cli.Session) string {
	return fmt.Sprintf("%s audit --log -o jsonl > findings.jsonl; then for goods and orders: %s stock add --findings findings.jsonl, then with --execute; "+
		"for events: producer replay --findings findings.jsonl", s.Name, s.Name)
}

// auditWriter writes findings as they come.
type auditWriter struct {
	rows rowWriter[findingRow]
	err  error // the first that writing met
}

func newAuditWriter(o cli.OutputSettings, to io.Writer) *auditWriter {
	return &auditWriter{rows: rowWriter[findingRow]{OutputSettings: o, to: to, member: "findings",
		head: fmt.Sprintf(auditRow, "RULE", "ORDER", "GOODS", "DETAIL")}}
}

// findingRow is a finding as it is written.
type findingRow struct{ report.Finding }

// auditRow fits the longest rule, and ids of a common length.
const auditRow = "%-29s  %-20s  %-20s  %s\n"

// String is the finding as a line of a table.
func (r findingRow) String() string {
	detail := r.Detail
	if r.Topic != "" {
		detail = fmt.Sprintf("%s/%d@%d: %s", r.Topic, *r.Partition, *r.Offset, detail)
	}
	return fmt.Sprintf(auditRow, r.Rule, cli.OrDash(r.OrderID), cli.OrDash(r.GoodsID), detail)
}

// row writes one finding.
func (w *auditWriter) row(f report.Finding) {
	if w.err == nil {
		w.err = w.rows.row(findingRow{f})
	}
}

// end writes the end: a line for a person, an object for programs.
func (w *auditWriter) end(total fmt.Stringer) {
	if w.err != nil {
		return
	}
	switch w.rows.Output {
	case "text":
		w.err = w.rows.text(total.String() + "\n")
	case "jsonl":
		w.err = w.rows.Object(w.rows.to, map[string]fmt.Stringer{"summary": total})
	default:
		w.err = w.rows.endWith("summary", total)
	}
}

// breakOff ends an answer that is not complete: a program that reads it can
// tell, and so can one that reads the exit code.
func (w *auditWriter) breakOff(err error) {
	if w.err == nil {
		w.err = w.rows.endWith("error", err.Error())
	}
}
