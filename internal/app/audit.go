package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"orderconsumer/internal/audit"
	"orderconsumer/internal/stock"
)

// auditCommand holds every row against what is promised of it, and the log
// against the rows.
type auditCommand struct {
	databaseCommand
	OutputSettings
	LogAuditSettings
}

// auditTalk is how long an audit may take before it says where it is, and how
// often it then says so.
const auditTalk = 2 * time.Second

// Run implements a command.
func (c *auditCommand) Run(ctx context.Context, s *session) error {
	l, err := c.connectMigrated(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // it was only read
	if c.Log {
		return c.auditLog(ctx, s, l)
	}
	w := auditWriter{OutputSettings: c.OutputSettings, to: s.stdout}
	said := time.Now()
	summary, err := l.Audit(ctx, stock.AuditOptions{
		Report: w.finding,
		Progress: func(now stock.Summary) {
			if time.Since(said) >= auditTalk {
				said = time.Now()
				s.say("audit: %s, %s, %d goods so far", counted64(now.Orders, "order"), counted64(now.Movements, "movement"), now.Goods)
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
		return &failure{code: ExitFailed, err: dirty(summary), try: mending(s)}
	}
	return nil
}

// mending is what to do about findings.
func mending(s *session) string {
	return fmt.Sprintf("%s audit --log -o jsonl > findings.jsonl; then for goods and orders: %s stock add --findings findings.jsonl, then with --execute; "+
		"for events: producer replay --findings findings.jsonl", s.name, s.name)
}

// dirty is the error of an audit that found something.
func dirty(s stock.Summary) error {
	return fmt.Errorf("the database does not hold what is promised of it: %s", counted64(s.Findings, "finding"))
}

// shownFinding is a finding as it is written for programs. Those about goods are
// what consumer stock add takes.
type shownFinding struct {
	Rule      audit.Rule  `json:"rule"`
	OrderID   string      `json:"order_id,omitempty"`
	GoodsID   string      `json:"goods_id,omitempty"`
	Topic     string      `json:"topic,omitempty"` // where the event stands
	Partition *int        `json:"partition,omitempty"`
	Offset    *int64      `json:"offset,omitempty"`
	Items     []shownItem `json:"items,omitempty"` // what an order without event has taken
	MendedBy  audit.Mend  `json:"mended_by,omitempty"`
	Detail    string      `json:"detail"`
}

// shownItem is one goods of an order, as events write it.
type shownItem struct {
	GoodsID string `json:"goods_id"`
	Num     int64  `json:"num"`
}

func newShownFinding(f *audit.Finding) shownFinding {
	row := shownFinding{Rule: f.Rule, OrderID: f.Order, GoodsID: f.Goods, MendedBy: f.Mend, Detail: f.Detail}
	if f.At.Topic != "" {
		row.Topic, row.Partition, row.Offset = f.At.Topic, &f.At.Partition, &f.At.Offset
	}
	for _, line := range f.Lines {
		row.Items = append(row.Items, shownItem{GoodsID: line.Goods, Num: line.Num})
	}
	return row
}

// shownSummary is the summary as it is written for programs.
type shownSummary struct {
	Clean     bool             `json:"clean"`
	Findings  int64            `json:"findings"`
	Orders    int64            `json:"orders"`
	ByState   map[string]int64 `json:"orders_by_state"`
	Goods     int64            `json:"goods"`
	Movements int64            `json:"movements"`
	Seconds   float64          `json:"seconds"`
}

// auditWriter writes findings as they come: there may be as many as rows.
type auditWriter struct {
	OutputSettings
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
	w.row(shownFinding{Rule: audit.Rule(f.Rule), OrderID: f.Order, GoodsID: f.Goods, Detail: f.Detail})
}

// row writes one finding.
func (w *auditWriter) row(row shownFinding) {
	switch {
	case w.Output == "text":
		if w.count == 0 {
			w.print(auditRow, "RULE", "ORDER", "GOODS", "DETAIL")
		}
		detail := row.Detail
		if row.Topic != "" {
			detail = fmt.Sprintf("%s/%d@%d: %s", row.Topic, *row.Partition, *row.Offset, detail)
		}
		w.print(auditRow, row.Rule, orDash(row.OrderID), orDash(row.GoodsID), detail)
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

func orDash(id string) string {
	if id == "" {
		return "-"
	}
	return shown(id)
}

// summary writes the end of an audit of the ledger.
func (w *auditWriter) summary(s stock.Summary) { w.end(newShownSummary(s)) }

func newShownSummary(s stock.Summary) shownSummary {
	total := shownSummary{
		Clean: s.Clean(), Findings: s.Findings, Orders: s.Orders, ByState: make(map[string]int64, len(s.ByState)),
		Goods: s.Goods, Movements: s.Movements, Seconds: s.Took.Seconds(),
	}
	for state, n := range s.ByState {
		total.ByState[string(state)] = n
	}
	return total
}

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

// String is the summary for a person.
func (s shownSummary) String() string {
	var states []string
	for _, state := range slices.Sorted(maps.Keys(s.ByState)) {
		states = append(states, fmt.Sprintf("%d %s", s.ByState[state], state))
	}
	orders := counted64(s.Orders, "order")
	if len(states) > 0 {
		orders += " (" + strings.Join(states, ", ") + ")"
	}
	verdict := "clean"
	if !s.Clean {
		verdict = counted64(s.Findings, "finding")
	}
	return fmt.Sprintf("%s: %s, %d goods, %s, in %s", verdict, orders, s.Goods,
		counted64(s.Movements, "movement"), time.Duration(s.Seconds*float64(time.Second)).Round(time.Millisecond))
}

// counted64 is counted for large numbers.
func counted64(n int64, thing string) string { return counted(int(n), thing) }
