// Package report is what an audit has found, as it is written for programs: the answer of
// consumer audit, the record of the audit job, and what other commands take to mend it.
package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"orderconsumer/internal/audit"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/stock"
)

// Dirty is the error of an audit that found something.
func Dirty(s stock.Summary) error {
	return fmt.Errorf("the database does not hold what is promised of it: %s", cli.Counted64(s.Findings, "finding"))
}

// Finding is a finding as it is written for programs. Those about goods are
// what consumer stock add takes.
type Finding struct {
	Rule      audit.Rule `json:"rule"`
	OrderID   string     `json:"order_id,omitempty"`
	GoodsID   string     `json:"goods_id,omitempty"`
	Topic     string     `json:"topic,omitempty"` // where the event stands
	Partition *int       `json:"partition,omitempty"`
	Offset    *int64     `json:"offset,omitempty"`
	Items     []Item     `json:"items,omitempty"` // what an order without event has taken
	MendedBy  audit.Mend `json:"mended_by,omitempty"`
	Detail    string     `json:"detail"`
}

// Item is one goods of an order, as events write it.
type Item struct {
	GoodsID string `json:"goods_id"`
	Num     int64  `json:"num"`
}

// OfLog is a finding of the audit of the log, as it is written.
func OfLog(f *audit.Finding) Finding {
	row := Finding{Rule: f.Rule, OrderID: f.Order, GoodsID: f.Goods, MendedBy: f.Mend, Detail: f.Detail}
	if f.At.Topic != "" {
		row.Topic, row.Partition, row.Offset = f.At.Topic, &f.At.Partition, &f.At.Offset
	}
	for _, line := range f.Lines {
		row.Items = append(row.Items, Item{GoodsID: line.Goods, Num: line.Num})
	}
	return row
}

// OfLedger is a finding of the ledger's own audit, as it is written.
func OfLedger(f stock.Finding) Finding {
	return Finding{Rule: audit.Rule(f.Rule), OrderID: f.Order, GoodsID: f.Goods, Detail: f.Detail}
}

// Summary is the summary as it is written for programs.
type Summary struct {
	Clean     bool             `json:"clean"`
	Findings  int64            `json:"findings"`
	Orders    int64            `json:"orders"`
	ByState   map[string]int64 `json:"orders_by_state"`
	Goods     int64            `json:"goods"`
	Movements int64            `json:"movements"`
	Seconds   float64          `json:"seconds"`
}

// NewSummary is the summary of an audit of the ledger, as it is written.
func NewSummary(s stock.Summary) Summary {
	total := Summary{
		Clean: s.Clean(), Findings: s.Findings, Orders: s.Orders, ByState: make(map[string]int64, len(s.ByState)),
		Goods: s.Goods, Movements: s.Movements, Seconds: s.Took.Seconds(),
	}
	for state, n := range s.ByState {
		total.ByState[string(state)] = n
	}
	return total
}

// String is the summary for a person.
func (s Summary) String() string {
	var states []string
	for _, state := range slices.Sorted(maps.Keys(s.ByState)) {
		states = append(states, fmt.Sprintf("%d %s", s.ByState[state], state))
	}
	orders := cli.Counted64(s.Orders, "order")
	if len(states) > 0 {
		orders += " (" + strings.Join(states, ", ") + ")"
	}
	verdict := "clean"
	if !s.Clean {
		verdict = cli.Counted64(s.Findings, "finding")
	}
	return fmt.Sprintf("%s: %s, %s, %s, in %s", verdict, orders, cli.Counted64(s.Goods, "goods id"),
		cli.Counted64(s.Movements, "movement"), time.Duration(s.Seconds*float64(time.Second)).Round(time.Millisecond))
}
