package audit

import (
	"errors"
	"slices"
	"testing"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	here := stock.Origin{Topic: "orders", Partition: 1, Offset: 7}
	there := stock.Origin{Topic: "orders", Partition: 1, Offset: 3}
	lines := []stock.Line{{Goods: "apple", Num: 2}}
	created := order.Event{ID: "e", Type: order.Created, OrderID: "A-1", Lines: lines}
	cancelled := order.Event{ID: "c", Type: order.Cancelled, OrderID: "A-1"}
	row := func(state stock.State, origin stock.Origin) *stock.Record {
		return &stock.Record{Order: "A-1", State: state, Lines: lines, Origin: origin}
	}
	other := row(stock.Deducted, there)
	other.Lines = []stock.Line{{Goods: "pear", Num: 1}}
	changed := row(stock.Deducted, here)
	changed.Lines = other.Lines
	broken := errors.New("broken")
	for _, tt := range []struct {
		name   string
		event  order.Event
		fault  error
		record *stock.Record
		place  uint8
		said   uint8
		old    bool
		class  Class
		rule   Rule
		answer uint8
	}{
		{name: "deducted", event: created, record: row(stock.Deducted, here), class: Applied, answer: saidDeducted},
		{name: "deducted and released", event: created, record: row(stock.Released, here), class: Applied, answer: saidDeducted},
		{name: "rejected", event: created, record: row(stock.Rejected, here), class: Rejected, answer: saidRejected},
		{name: "come again", event: created, record: row(stock.Deducted, there), class: Duplicate, answer: saidDeducted},
		{name: "come again and rejected", event: created, record: row(stock.Rejected, there), class: Duplicate, answer: saidRejected},
		{name: "cancelled before it came", event: created, record: row(stock.Voided, there), class: Applied, answer: saidVoided},
		{name: "applied after it was a dead letter", event: created, record: row(stock.Deducted, here), place: deadPlace, class: Applied, answer: saidDeducted},
		{name: "dead", event: created, place: deadPlace, class: Dead, answer: saidDead},
		{name: "dead, and its row asks for something else", event: created, record: changed, place: deadPlace, class: Off, rule: RuleConflict},
		{name: "brought back, applied, and gone", event: created, place: deadPlace, said: saidDead | saidDeducted | stands, class: Off, rule: RuleLost},
		{name: "brought back, applied, and forgotten", event: created, place: deadPlace, said: saidDeducted, old: true, class: Dead, answer: saidDead},
		{name: "brought back and dead again", event: created, place: deadPlace, said: saidDead | stands, class: Dead, answer: saidDead},
		{name: "waiting", event: created, place: firstTier + 1, class: Waiting},
		{name: "lost", event: created, class: Off, rule: RuleLost},
		{name: "older than the horizon", event: created, old: true, class: Forgotten},
		{name: "old and still known", event: created, old: true, record: row(stock.Deducted, here), class: Applied, answer: saidDeducted},
		{name: "conflict among the dead letters", event: created, record: other, place: deadPlace, class: Dead, answer: saidDead},
		{name: "conflict that went nowhere", event: created, record: other, class: Off, rule: RuleConflict},
		{name: "released", event: cancelled, record: row(stock.Released, there), class: Applied, answer: saidReleased},
		{name: "cancel of a rejected order", event: cancelled, record: row(stock.Rejected, there), class: Rejected, answer: saidRejected},
		{name: "voided", event: cancelled, record: row(stock.Voided, here), class: Applied, answer: saidVoided},
		{name: "cancelled again", event: cancelled, record: row(stock.Voided, there), class: Duplicate, answer: saidVoided},
		{name: "cancel without effect", event: cancelled, record: row(stock.Deducted, there), class: Off, rule: RuleNotReleased},
		{name: "cancel that waits", event: cancelled, record: row(stock.Deducted, there), place: firstTier, class: Waiting},
		{name: "cancel that is lost", event: cancelled, class: Off, rule: RuleLost},
		{name: "broken and dead", fault: broken, place: deadPlace, class: Dead, answer: saidDead},
		{name: "broken and nowhere", fault: broken, class: Off, rule: RuleUnreadable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := sight{at: here, event: tt.event, fault: tt.fault, place: tt.place, answers: tt.said, old: tt.old}
			if tt.record != nil {
				s.known, s.record = true, *tt.record
			}
			class, finding := s.judge()
			if class != tt.class || finding.Rule != tt.rule {
				t.Errorf("%s %s, want %s %s", class, finding.Rule, tt.class, tt.rule)
			}
			if tt.rule != "" && (finding.At != here || finding.Detail == "") {
				t.Errorf("a finding that leads nowhere: %+v", finding)
			}
			if got := s.answerWanted(class); got != tt.answer {
				t.Errorf("outcome bit %b wanted, not %b", tt.answer, got)
			}
		})
	}
}

// A row is confirmed by its own event and by the outcomes of its state, and by nothing
// less: each state that a person can make of another is told from it.
func TestConfirmed(t *testing.T) {
	t.Parallel()
	here := stock.Origin{Topic: "orders", Partition: 1, Offset: 7}
	lines := []stock.Line{{Goods: "apple", Num: 2}}
	for _, tt := range []struct {
		name  string
		event order.Type
		said  uint8
		by    []stock.State // states of the row that this confirms
	}{
		{"deducted", order.Created, saidDeducted | stands, []stock.State{stock.Deducted}},
		{"rejected", order.Created, saidRejected | stands, []stock.State{stock.Rejected}},
		{"released", order.Created, saidDeducted | saidReleased, []stock.State{stock.Released}},
		{"released, and the older outcome is gone", order.Created, saidReleased, []stock.State{stock.Released}},
		{"deducted after it was dead", order.Created, saidDead | saidDeducted, []stock.State{stock.Deducted}},
		{"dead", order.Created, saidDead, nil},
		{"no outcome", order.Created, stands, nil},
		{"rejected, and deducted later", order.Created, saidRejected | saidDeducted, nil},
		{"rejected and released", order.Created, saidRejected | saidReleased, nil},
		{"voided by a cancel", order.Cancelled, saidVoided, []stock.State{stock.Voided}},
		{"voided by a create", order.Created, saidVoided, nil},
		{"a cancel that made the order known is not one that was deducted", order.Cancelled, saidDeducted, nil},
	} {
		for _, state := range []stock.State{stock.Deducted, stock.Rejected, stock.Released, stock.Voided, "other"} {
			s := sight{at: here, known: true, answers: tt.said, event: order.Event{Type: tt.event, OrderID: "A-1", Lines: lines},
				record: stock.Record{Order: "A-1", State: state, Lines: lines, Origin: here}}
			if got, want := s.confirmed(), slices.Contains(tt.by, state); got != want {
				t.Errorf("%s: a row that says %s is confirmed: %t, want %t", tt.name, state, got, want)
			}
			s.record.Origin.Offset++
			if s.confirmed() {
				t.Errorf("%s: a row that says %s and names another event is confirmed", tt.name, state)
			}
			s.record.Origin, s.event.Lines = here, nil
			if s.confirmed() && state != stock.Voided {
				t.Errorf("%s: a row that says %s and asks for something else is confirmed", tt.name, state)
			}
		}
	}
}
