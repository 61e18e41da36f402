package order

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderconsumer/internal/stock"
)

var (
	decided  = time.Date(2026, 11, 23, 1, 2, 3, 456e6, time.UTC)
	released = decided.Add(time.Hour)
	twoLines = []stock.Line{{Goods: "421", Num: 2}, {Goods: "77", Num: 1}}
	oneShort = []stock.Shortage{{Goods: "421", Wanted: 2, Available: 0}}
)

func TestOutcomeOfEveryStateForEveryEvent(t *testing.T) {
	t.Parallel()
	const head = `"order_id":"A-1","caused_by":"e-1","occurred_at":"2026-11-23T01:02:03.456Z"`
	const items = `,"items":[{"goods_id":"421","num":2},{"goods_id":"77","num":1}]`
	const origin = `,"origin":{"topic":"orders","partition":3,"offset":1042}}`
	deducted := `{"event_id":"e-1.deducted","type":"order.deducted",` + head + items + origin
	rejected := `{"event_id":"e-1.rejected","type":"order.rejected",` + head + items +
		`,"short":[{"goods_id":"421","wanted":2,"available":0}]` + origin
	voided := `{"event_id":"e-1.voided","type":"order.voided",` + head + origin
	givenBack := `{"event_id":"e-1.released","type":"order.released",` +
		strings.Replace(head, "T01:", "T02:", 1) + items + origin
	for _, c := range []struct {
		kind  Type
		state stock.State
		want  string
	}{
		{Created, stock.Deducted, deducted},
		{Created, stock.Released, deducted},
		{Created, stock.Rejected, rejected},
		{Created, stock.Voided, voided},
		{Cancelled, stock.Deducted, deducted},
		{Cancelled, stock.Released, givenBack},
		{Cancelled, stock.Rejected, rejected},
		{Cancelled, stock.Voided, voided},
	} {
		t.Run(fmt.Sprintf("%s finds the order %s", c.kind, c.state), func(t *testing.T) {
			t.Parallel()
			r := stock.Record{
				Order: "A-1", State: c.state, Lines: twoLines,
				Origin: stock.Origin{Topic: "orders", Partition: 3, Offset: 1042}, DecidedAt: decided,
			}
			if c.state == stock.Rejected {
				r.Shortages = oneShort
			}
			if c.state == stock.Released {
				r.ReleasedAt = released
			}
			o := OutcomeOf(Event{ID: "e-1", Type: c.kind, OrderID: "A-1"}, r)
			if got := string(AppendOutcome(nil, &o)); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

// An order that is voided may have lines in its row or not, depending on which
// of its events came first; its outcome must be the same bytes either way.
func TestOutcomeOfAVoidedOrderDoesNotDependOnItsLines(t *testing.T) {
	t.Parallel()
	e := Event{ID: "e-1", Type: Cancelled, OrderID: "A-1"}
	r := stock.Record{Order: "A-1", State: stock.Voided, DecidedAt: decided}
	without := OutcomeOf(e, r)
	r.Lines = twoLines
	with := OutcomeOf(e, r)
	if diff := cmp.Diff(without, with); diff != "" {
		t.Error(diff)
	}
}

func TestDeadOutcomeNamesWhatItCan(t *testing.T) {
	t.Parallel()
	d := Delivery{Origin: stock.Origin{Topic: "orders", Partition: 3, Offset: 1042}, Attempt: 2}
	f := Failure{Code: CodeSchemaInvalid, Message: "schema_invalid at /type:\n\"x\"", At: decided.Add(999 * time.Microsecond), Group: "g"}
	for _, c := range []struct {
		name  string
		event Event
		want  string
	}{
		{
			"an event that was read", Event{ID: "e-1", Type: Created, OrderID: "A-1", Lines: twoLines},
			`{"event_id":"e-1.dead","type":"order.dead","order_id":"A-1","caused_by":"e-1","occurred_at":"2026-11-23T01:02:03.456Z",` +
				`"code":"schema_invalid","message":"schema_invalid at /type: \"x\"","origin":{"topic":"orders","partition":3,"offset":1042}}`,
		},
		{
			"an event that could not be read", Event{},
			`{"event_id":"orders/3/1042.dead","type":"order.dead","caused_by":"orders/3/1042","occurred_at":"2026-11-23T01:02:03.456Z",` +
				`"code":"schema_invalid","message":"schema_invalid at /type: \"x\"","origin":{"topic":"orders","partition":3,"offset":1042}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := DeadOutcome(c.event, d, f)
			if got := string(AppendOutcome(nil, &o)); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
	long := DeadOutcome(Event{}, d, Failure{Code: strings.Repeat("c", 1000), Message: strings.Repeat("\u5355", 1000), At: decided})
	if len(long.Code) > maxErrorCodeBytes || len(long.Detail) > maxErrorMessageBytes {
		t.Errorf("got a code of %d and a message of %d bytes", len(long.Code), len(long.Detail))
	}
}

func TestAnOutcomeSurvivesEncodingAndDecoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent(t)
		r := stock.Record{
			Order:     e.OrderID,
			State:     rapid.SampledFrom([]stock.State{stock.Deducted, stock.Rejected, stock.Released, stock.Voided}).Draw(t, "state"),
			Lines:     e.Lines,
			Origin:    stock.Origin{Topic: "orders", Partition: rapid.IntRange(0, 99).Draw(t, "partition"), Offset: rapid.Int64Min(0).Draw(t, "offset")},
			DecidedAt: decided, ReleasedAt: released,
		}
		if r.State == stock.Rejected {
			for _, line := range e.Lines {
				r.Shortages = append(r.Shortages, stock.Shortage{Goods: line.Goods, Wanted: line.Num, Available: line.Num - 1})
			}
		}
		want := OutcomeOf(e, r)
		value := AppendOutcome([]byte("before"), &want)[len("before"):]
		got, err := DecodeOutcome(value)
		if err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: %s", value, diff)
		}
	})
}

func TestDecodeOutcomeRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "[]", `{"type":1}`, `{"type":"order.dead","type":"order.dead"}`} {
		if o, err := DecodeOutcome([]byte(value)); err == nil {
			t.Errorf("%q: got %+v, want an error", value, o)
		}
	}
}

func TestOutcomeMessageIsKeyedAndLabelled(t *testing.T) {
	t.Parallel()
	o := OutcomeOf(Event{ID: "e-1", Type: Created, OrderID: "A-1"}, stock.Record{Order: "A-1", State: stock.Deducted, Lines: twoLines, DecidedAt: decided})
	m := o.Message("orders.results", []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	if m.Topic != "orders.results" || string(m.Key) != "A-1" || string(m.Value) != string(AppendOutcome(nil, &o)) {
		t.Errorf("got topic %s, key %s, value %s", m.Topic, m.Key, m.Value)
	}
	want := []string{
		"ce_time: 2026-11-23T01:02:03.456Z", "ce_specversion: 1.0", "ce_id: e-1.deducted", "ce_type: order.deducted",
		"ce_source: /order-consumer", "content-type: application/json",
		"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	if diff := cmp.Diff(want, texts(m.Headers)); diff != "" {
		t.Error(diff)
	}
	dead := DeadOutcome(Event{}, Delivery{}, Failure{Code: "c", At: decided})
	if m := dead.Message("orders.results", nil); m.Key != nil || len(m.Headers) != len(want)-1 {
		t.Errorf("got key %q and headers %q, want no key and no traceparent", m.Key, texts(m.Headers))
	}
}

// The parts of an outcome's message are cut from one buffer: whoever appends to
// one of them must not write into the next.
func TestPartsOfAnOutcomeMessageCannotGrowIntoEachOther(t *testing.T) {
	t.Parallel()
	o := OutcomeOf(Event{ID: "e-1", Type: Created, OrderID: "A-1"}, stock.Record{Order: "A-1", State: stock.Deducted, Lines: twoLines, DecidedAt: decided})
	m := o.Message("orders.results", nil)
	parts := [][]byte{m.Value, m.Key}
	for _, h := range m.Headers {
		parts = append(parts, h.Value)
	}
	var before []string
	for _, part := range parts {
		before = append(before, string(part))
	}
	for _, part := range parts {
		_ = append(part, "overwritten"...)
	}
	for i, part := range parts {
		if string(part) != before[i] {
			t.Errorf("part %d became %q, want %q", i, part, before[i])
		}
	}
}

func benchOutcome(lines int) *Outcome {
	r := stock.Record{
		Order: "A-1001", State: stock.Deducted, DecidedAt: decided,
		Origin: stock.Origin{Topic: "orders", Partition: 3, Offset: 1042},
	}
	for i := range lines {
		r.Lines = append(r.Lines, stock.Line{Goods: fmt.Sprint(1000 + i), Num: int64(i + 1)})
	}
	o := OutcomeOf(Event{ID: "018f3c1a-7b2c-7def-8123-456789abcdef", Type: Created, OrderID: "A-1001"}, r)
	return &o
}

func TestAnOutcomeMessageCostsTwoAllocations(t *testing.T) {
	for _, lines := range []int{1, 3, MaxItems} {
		o := benchOutcome(lines)
		if n := testing.AllocsPerRun(100, func() { o.Message("orders.results", nil) }); n > 2 {
			t.Errorf("%d lines: got %v allocations, want 2", lines, n)
		}
	}
	rejected := benchOutcome(3)
	rejected.Shortages = slices.Repeat(oneShort, 100)
	if n := testing.AllocsPerRun(100, func() { rejected.Message("orders.results", nil) }); n > 2 {
		t.Errorf("100 shortages: got %v allocations, want 2", n)
	}
}

func BenchmarkOutcomeMessage(b *testing.B) {
	o := benchOutcome(3)
	b.ReportAllocs()
	for b.Loop() {
		if m := o.Message("orders.results", nil); len(m.Headers) != outcomeHeaders {
			b.Fatal("headers are missing")
		}
	}
}

func BenchmarkOutcomeOf(b *testing.B) {
	e := Event{ID: "018f3c1a-7b2c-7def-8123-456789abcdef", Type: Created, OrderID: "A-1001"}
	r := stock.Record{Order: "A-1001", State: stock.Deducted, Lines: twoLines, DecidedAt: decided}
	b.ReportAllocs()
	for b.Loop() {
		if o := OutcomeOf(e, r); o.Type != OutcomeDeducted {
			b.Fatal("wrong type")
		}
	}
}
