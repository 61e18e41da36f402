package app

import (
	"context"
	"encoding/json"
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
	w := auditWriter{OutputSettings: c.OutputSettings, to: s.Stdout}
	pace := cli.NewPace()
	summary, err := l.Audit(ctx, stock.AuditOptions{
		Report: w.finding,
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
	w.summary(summary)
	if w.err != nil {
		return fmt.Errorf("write the answer: %w", w.err)
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

// auditWriter writes findings as they come: there may be as many as rows.
type auditWriter struct {
	cli.OutputSettings
	to    io.Writer
	count int
	err   error // the first that writing met
}

func (w *auditWriter) print(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.to, format, args...)
	}
}

func (w *auditWriter) json(v any) string {
	text, err := json.Marshal(v)
	if err != nil && w.err == nil {
		w.err = err
	}
	return string(text)
}

// finding writes one finding of the ledger.
func (w *auditWriter) finding(f stock.Finding) {
	w.row(report.OfLedger(f))
}

// row writes one finding.
func (w *auditWriter) row(row report.Finding) {
	switch {
	case w.Output == "text":
		if w.count == 0 {
			w.print(auditRow, "RULE", "ORDER", "GOODS", "DETAIL")
		}
		detail := row.Detail
		if row.Topic != "" {
			detail = fmt.Sprintf("%s/%d@%d: %s", row.Topic, *row.Partition, *row.Offset, detail)
		}
		w.print(auditRow, row.Rule, cli.OrDash(row.OrderID), cli.OrDash(row.GoodsID), detail)
	case w.Output == "jsonl":
		w.print("%s\n", w.json(row))
	case w.count == 0:
		w.print(`{"findings":[%s`, w.json(row))
	default:
		w.print(`,%s`, w.json(row))
	}
	w.count++
}

// auditRow fits the longest rule, and ids of a common length.
const auditRow = "%-29s  %-20s  %-20s  %s\n"

// summary writes the end of an audit of the ledger.
func (w *auditWriter) summary(s stock.Summary) { w.end(report.NewSummary(s)) }

// end writes the end: a line for a person, an object for programs.
func (w *auditWriter) end(total fmt.Stringer) {
	switch w.Output {
	case "text":
		w.print("%s\n", total)
	case "jsonl":
		w.print("{\"summary\":%s}\n", w.json(total))
	default:
		if w.count == 0 {
			w.print(`{"findings":[`)
		}
		w.print("],\"summary\":%s}\n", w.json(total))
	}
}

// breakOff ends an answer that is not complete: a program that reads it can
// tell, and so can one that reads the exit code.
func (w *auditWriter) breakOff(err error) {
	if w.Output != "json" {
		return
	}
	if w.count == 0 {
		w.print(`{"findings":[`)
	}
	w.print("],\"error\":%s}\n", w.json(err.Error()))
}
