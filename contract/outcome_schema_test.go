package contract_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

var decidedAt = time.Date(2026, 11, 23, 1, 2, 3, 456e6, time.UTC)

// anyOutcome draws an event and what may stand in the ledger about its order,
// or a failure, and answers it.
func anyOutcome(t *rapid.T) order.Outcome {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("Az09 -\"\\</\u5355\U0001F4E6")), 1, 20, 64)
	e := order.Event{
		ID:      text.Draw(t, "event id"),
		Type:    rapid.SampledFrom([]order.Type{order.Created, order.Cancelled}).Draw(t, "type"),
		OrderID: text.Draw(t, "order id"),
	}
	origin := stock.Origin{Topic: "orders", Partition: rapid.IntRange(0, 99).Draw(t, "partition"), Offset: rapid.Int64Range(0, 1<<53).Draw(t, "offset")}
	if rapid.IntRange(0, 4).Draw(t, "dead") == 0 {
		if rapid.Bool().Draw(t, "unreadable") {
			e = order.Event{}
		}
		f := order.Failure{
			Code:    rapid.SampledFrom([]string{order.CodeSchemaInvalid, order.CodeEmptyBody, strings.Repeat("c", 100)}).Draw(t, "code"),
			Message: rapid.StringN(0, 600, -1).Draw(t, "message"),
			At:      decidedAt.Add(rapid.SampledFrom([]time.Duration{0, time.Nanosecond, -time.Hour}).Draw(t, "after")),
		}
		return order.DeadOutcome(e, order.Delivery{Origin: origin, Attempt: 1}, f)
	}
	r := stock.Record{
		Order: e.OrderID, Origin: origin, DecidedAt: decidedAt, ReleasedAt: decidedAt.Add(time.Second),
		State: rapid.SampledFrom([]stock.State{stock.Deducted, stock.Rejected, stock.Released, stock.Voided}).Draw(t, "state"),
	}
	for i := range rapid.IntRange(1, 5).Draw(t, "lines") {
		line := stock.Line{Goods: fmt.Sprint(i, "\u5355\""), Num: rapid.Int64Range(1, order.MaxNum).Draw(t, "num")}
		r.Lines = append(r.Lines, line)
		if r.State == stock.Rejected {
			r.Shortages = append(r.Shortages, stock.Shortage{Goods: line.Goods, Wanted: line.Num, Available: line.Num - 1})
		}
	}
	return order.OutcomeOf(e, r)
}

func TestEveryOutcomeFitsItsSchemaAndSaysNothingElse(t *testing.T) {
	t.Parallel()
	schema := compile(t, "outcome.schema.json")
	known := properties(t, "outcome.schema.json")
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		o := anyOutcome(t)
		value := order.AppendOutcome(nil, &o)
		if err := passes(schema, value); err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(value, &members); err != nil {
			t.Fatal(err)
		}
		for name := range members {
			seen[name] = true
			if !known[name] {
				t.Fatalf("%s: the schema does not know %q", value, name)
			}
		}
	})
	for name := range known {
		if !seen[name] {
			t.Errorf("no outcome had the member %q", name)
		}
	}
}

// properties are the members that a schema knows, those of objects within it
// left out.
func properties(t testing.TB, name string) map[string]bool {
	t.Helper()
	var file struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal([]byte(readContract(t, name)), &file); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for property := range file.Properties {
		known[property] = true
	}
	return known
}

func TestTheOutcomeSchemaRefusesWhatNoOutcomeIs(t *testing.T) {
	t.Parallel()
	schema := compile(t, "outcome.schema.json")
	const good = `{"event_id":"e.deducted","type":"order.deducted","order_id":"A","caused_by":"e",` +
		`"occurred_at":"2026-11-23T01:02:03.456Z","items":[{"goods_id":"1","num":1}]}`
	if err := passes(schema, []byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"an unknown type":                {"order.deducted", "order.lost"},
		"no order":                       {`"order_id":"A",`, ``},
		"no cause":                       {`"caused_by":"e",`, ``},
		"no items":                       {`,"items":[{"goods_id":"1","num":1}]`, ``},
		"empty items":                    {`[{"goods_id":"1","num":1}]`, `[]`},
		"a num of zero":                  {`"num":1`, `"num":0`},
		"a num that is a string":         {`"num":1`, `"num":"1"`},
		"a time without milliseconds":    {`.456Z`, `Z`},
		"a time in another zone":         {`.456Z`, `.456+00:00`},
		"a rejection without shortages":  {"deducted", "rejected"},
		"a dead one without code":        {"order.deducted", "order.dead"},
		"a code of one that is not dead": {`"type"`, `"code":"x","type"`},
		"shortages of one not rejected":  {`"type"`, `"short":[{"goods_id":"1","wanted":1,"available":0}],"type"`},
		"half an origin":                 {`"type"`, `"origin":{"topic":"orders"},"type"`},
	} {
		if value := strings.ReplaceAll(good, edit[0], edit[1]); passes(schema, []byte(value)) == nil || value == good {
			t.Errorf("%s passes: %s", name, value)
		}
	}
}

// The README's table of outcomes and the schema name the same types.
func TestTheReadmeNamesEveryOutcome(t *testing.T) {
	t.Parallel()
	stated := map[string]bool{}
	for _, cells := range tableRows(t, readContract(t, "README.md"), "Type") {
		stated[code(cells[0])] = true
	}
	var file struct {
		Properties struct {
			Type struct{ Enum []string }
		}
	}
	if err := json.Unmarshal([]byte(readContract(t, "outcome.schema.json")), &file); err != nil {
		t.Fatal(err)
	}
	types := []string{order.OutcomeDeducted, order.OutcomeRejected, order.OutcomeReleased, order.OutcomeVoided, order.OutcomeDead}
	if len(stated) != len(types) || len(file.Properties.Type.Enum) != len(types) {
		t.Errorf("the README has %d types, the schema %d, the code %d", len(stated), len(file.Properties.Type.Enum), len(types))
	}
	for _, name := range types {
		if !stated[name] || !strings.Contains(fmt.Sprint(file.Properties.Type.Enum), name) {
			t.Errorf("%s: in the README %v, in the schema %v", name, stated[name], file.Properties.Type.Enum)
		}
	}
}
