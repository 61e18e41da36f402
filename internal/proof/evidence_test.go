package proof

import (
	"strings"
	"testing"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/workload"
)

func TestEvidenceAboutOneEvent(t *testing.T) {
	t.Parallel()
	at := stock.Origin{Topic: "orders", Partition: 2, Offset: 5}
	broken := order.Message{Topic: at.Topic, Partition: at.Partition, Offset: at.Offset, Key: []byte("k"), Value: []byte("{")}
	good := broken
	good.Value = []byte(`{"event_id":"e","type":"order.created","order_id":"k","items":[{"goods_id":"1","num":1}]}`)
	other := broken
	other.Value = []byte("[")
	for _, tt := range []struct {
		name    string
		event   order.Message
		settled bool
		parked  bool
		letter  *order.Message
		death   bool
		answer  *answer
		lost    int64
		wrong   int
	}{
		{name: "a broken event that is a dead letter", event: broken, settled: true, letter: &broken, death: true},
		{name: "a broken event that is not", event: broken, settled: true, lost: 1, wrong: 1},
		{name: "a broken event that nobody has come to", event: broken},
		{name: "an event that a retry tier still holds", event: good, settled: true, parked: true},
		{name: "a dead letter with other bytes", event: broken, settled: true, letter: &other, death: true, lost: 1, wrong: 1},
		{name: "a dead letter without outcome", event: broken, settled: true, letter: &broken, lost: 1, wrong: 1},
		{name: "a good event with an outcome", event: good, settled: true, answer: &answer{kind: order.OutcomeDeducted}},
		{name: "two outcomes that contradict each other", event: good, settled: true,
			answer: &answer{kind: order.OutcomeDeducted, other: order.OutcomeRejected}, wrong: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEvidence()
			if tt.letter != nil {
				e.letters[at] = *tt.letter
			}
			e.deaths[at], e.parked[at] = tt.death, tt.parked
			if tt.answer != nil {
				e.answers["e"] = tt.answer
			}
			f := &findings{}
			e.event(&tt.event, tt.settled, f)
			if f.lost != tt.lost || f.count != tt.wrong {
				t.Errorf("%d lost, %d wrong, want %d and %d: %q", f.lost, f.count, tt.lost, tt.wrong, f.texts)
			}
		})
	}
	t.Run("an event without an outcome is lost with its order's account", func(t *testing.T) {
		t.Parallel()
		e, f := newEvidence(), &findings{}
		e.event(&good, true, f)
		e.checkOrders(&books{records: map[string]stock.Record{"k": {
			Order: "k", State: stock.Deducted, Lines: []stock.Line{{Goods: "1", Num: 1}},
		}}}, f)
		if f.lost != 1 {
			t.Errorf("%d lost: %q", f.lost, f.texts)
		}
	})
}

func TestEventsThatWerePublishedAndAreNowhere(t *testing.T) {
	t.Parallel()
	load, err := workload.New(workload.Config{Orders: 200, Goods: 5, BrokenShare: 0.05, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	published := Load{Workload: load, Sent: load.Expect().Events()}
	complete := func() *evidence {
		e := newEvidence()
		for item := range load.Events() {
			if item.Kind == workload.Broken {
				e.bodies[string(item.Value)]++
				continue
			}
			e.events[item.Event.ID]++
			e.accounts[item.Event.OrderID] = &account{created: true, lines: item.Event.Lines}
		}
		return e
	}
	for _, tt := range []struct {
		name string
		take func(e *evidence, item *workload.Item)
		kind workload.Kind
		lost int64
		text string
	}{
		{"nothing is missing", func(*evidence, *workload.Item) {}, workload.Created, 0, ""},
		{"an event is not in the log", func(e *evidence, item *workload.Item) { delete(e.events, item.Event.ID) },
			workload.Created, 1, "is not in the log"},
		{"a broken event is no dead letter", func(e *evidence, item *workload.Item) { delete(e.bodies, string(item.Value)) },
			workload.Broken, 1, "not among the dead letters"},
		{"a good event is a dead letter", func(e *evidence, item *workload.Item) { delete(e.accounts, item.Event.OrderID) },
			workload.Created, 0, "has no account"},
		{"an order has other goods", func(e *evidence, item *workload.Item) { e.accounts[item.Event.OrderID].lines = nil },
			workload.Created, 0, "was published with"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, f := complete(), &findings{}
			for item := range load.Events() {
				if item.Kind == tt.kind {
					tt.take(e, &item)
					break
				}
			}
			e.checkLoad(published, f)
			if f.lost != tt.lost || (f.count == 0) != (tt.text == "") {
				t.Fatalf("%d lost, %d wrong: %q", f.lost, f.count, f.texts)
			}
			if tt.text != "" && !strings.Contains(f.texts[0], tt.text) {
				t.Errorf("found %q, want %q", f.texts, tt.text)
			}
		})
	}
	t.Run("what was not sent is not missed", func(t *testing.T) {
		t.Parallel()
		f := &findings{}
		newEvidence().checkLoad(Load{Workload: load}, f)
		if f.count != 0 {
			t.Errorf("found %q", f.texts)
		}
	})
}
