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

	"orderconsumer/internal/stock"
)

// auditCommand holds every row against what is promised of it.
type auditCommand struct {
	databaseCommand
	OutputSettings
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
		return fmt.Errorf("the database does not hold what is promised of it: %s", counted64(summary.Findings, "finding"))
	}
	return nil
}

// shownFinding is a finding as it is written for programs.
type shownFinding struct {
	Rule    stock.Rule `json:"rule"`
	OrderID string     `json:"order_id,omitempty"`
	GoodsID string     `json:"goods_id,omitempty"`
	Detail  string     `json:"detail"`
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

// finding writes one finding.
func (w *auditWriter) finding(f stock.Finding) {
	row := shownFinding{Rule: f.Rule, OrderID: f.Order, GoodsID: f.Goods, Detail: f.Detail}
	switch {
	case w.Output == "text":
		if w.count == 0 {
			w.print(auditRow, "RULE", "ORDER", "GOODS", "DETAIL")
		}
		w.print(auditRow, f.Rule, orDash(f.Order), orDash(f.Goods), f.Detail)
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

// summary writes the end.
func (w *auditWriter) summary(s stock.Summary) {
	total := shownSummary{
		Clean: s.Clean(), Findings: s.Findings, Orders: s.Orders, ByState: make(map[string]int64, len(s.ByState)),
		Goods: s.Goods, Movements: s.Movements, Seconds: s.Took.Seconds(),
	}
	for state, n := range s.ByState {
		total.ByState[string(state)] = n
	}
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
