package stock

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Rule names what a finding breaks. The words are stable.
type Rule string

const (
	// RuleNegative: a level is below zero, something was oversold.
	RuleNegative Rule = "negative_level"
	// RuleSum: the movements of a goods do not add up to its level.
	RuleSum Rule = "level_is_not_sum_of_movements"
	// RuleNoLevel: a goods has movements but no level.
	RuleNoLevel Rule = "movements_without_level"
	// RuleDeducted: a deducted order's movements are not exactly its lines taken
	// once.
	RuleDeducted Rule = "deducted_order_not_whole"
	// RuleReleased: a released order's movements are not exactly its lines taken
	// once and given back once.
	RuleReleased Rule = "released_order_not_whole"
	// RuleUntouched: a rejected or voided order has movements.
	RuleUntouched Rule = "movements_of_untouched_order"
	// RuleNoOrder: a deduction or release belongs to no order.
	RuleNoOrder Rule = "movements_without_order"
	// RuleState: an order's row cannot be read as one of the known states.
	RuleState Rule = "order_unreadable"
)

// Finding is one place where the ledger does not hold what it promises.
type Finding struct {
	Rule   Rule
	Order  string // empty when it is about a goods
	Origin Origin // the event that the order's row names; empty when there is no row that can be read
	Goods  string // empty when it is about an order as a whole
	Detail string // the numbers, for a person
}

// Summary says what an audit has seen.
type Summary struct {
	Goods     int64
	Orders    int64
	Movements int64
	ByState   map[State]int64
	Findings  int64
	Took      time.Duration
}

// AuditOptions is who is told about an audit while it runs. Each may be nil.
type AuditOptions struct {
	// Order is shown every order that can be read. It must not keep the record.
	Order func(*Record)
	// Report is called for every finding.
	Report func(Finding)
	// Progress is called now and then with what was seen so far.
	Progress func(Summary)
}

// Clean reports that nothing was found.
func (s *Summary) Clean() bool { return s.Findings == 0 }

// AuditLevel holds one goods' level against the sum of its movements.
func AuditLevel(goods string, available, sum int64) []Finding {
	var found []Finding
	if available < 0 {
		found = append(found, Finding{Rule: RuleNegative, Goods: goods, Detail: fmt.Sprintf("available %d", available)})
	}
	if available != sum {
		found = append(found, Finding{Rule: RuleSum, Goods: goods, Detail: fmt.Sprintf("available %d, sum of movements %d", available, sum)})
	}
	return found
}

// AuditOrder holds an order against the deductions and releases recorded under
// its reference, which are all there are and may be in any order. Movements of
// other kinds are not its business.
func AuditOrder(record *Record, movements []Movement) []Finding {
	var taken, given []Line
	for _, m := range movements {
		switch m.Kind {
		case KindDeduct:
			taken = append(taken, Line{Goods: m.Goods, Num: -m.Delta})
		case KindRelease:
			given = append(given, Line{Goods: m.Goods, Num: m.Delta})
		default:
		}
	}
	sortLines(taken)
	sortLines(given)

	find := func(rule Rule, detail string) []Finding {
		return []Finding{{Rule: rule, Order: record.Order, Origin: record.Origin, Detail: detail}}
	}
	switch record.State {
	case Deducted:
		if !slices.Equal(taken, record.Lines) || len(given) > 0 || len(taken) == 0 {
			return find(RuleDeducted, describe(record.Lines, taken, given))
		}
	case Released:
		if !slices.Equal(taken, record.Lines) || !slices.Equal(given, record.Lines) || len(taken) == 0 {
			return find(RuleReleased, describe(record.Lines, taken, given))
		}
	case Rejected, Voided:
		if len(taken) > 0 || len(given) > 0 {
			return find(RuleUntouched, fmt.Sprintf("%s, %s", record.State, describe(record.Lines, taken, given)))
		}
	default:
		return find(RuleState, fmt.Sprintf("state %q", record.State))
	}
	return nil
}

// AuditStray reports a deduction or release whose order is not there.
func AuditStray(m *Movement) Finding {
	return Finding{Rule: RuleNoOrder, Order: m.Ref, Goods: m.Goods, Detail: fmt.Sprintf("%s of %d", m.Kind, m.Delta)}
}

func sortLines(lines []Line) {
	slices.SortFunc(lines, func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.Goods, b.Goods), cmp.Compare(a.Num, b.Num))
	})
}

// describe keeps a finding about an order of hundreds of goods readable.
func describe(asked, taken, given []Line) string {
	return fmt.Sprintf("asked for %s, took %s, gave back %s", brief(asked), brief(taken), brief(given))
}

func brief(lines []Line) string {
	const shown = 5 // enough to recognise an order by
	if len(lines) == 0 {
		return "nothing"
	}
	text := ""
	for i, line := range lines {
		if i == shown {
			return fmt.Sprintf("%s and %d more", text, len(lines)-shown)
		}
		if i > 0 {
			text += " "
		}
		text += fmt.Sprintf("%q:%d", line.Goods, line.Num)
	}
	return text
}
