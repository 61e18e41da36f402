package contract_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"orderconsumer/internal/order"
)

// compile reads a schema of the contract. Formats are asserted.
func compile(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(readContract(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(name, document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func passes(schema *jsonschema.Schema, value []byte) error {
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(value)))
	if err != nil {
		return err
	}
	return schema.Validate(document)
}

// exceptions are the rules that the schema cannot state, each with a test of
// whether a message breaks it. The tests do not use the decoder.
var exceptions = map[string]func(*order.Message) bool{
	"body_size": func(m *order.Message) bool { return len(m.Value) > order.MaxValueBytes },
	"broken_text": func(m *order.Message) bool {
		duplicates := jsontext.AllowDuplicateNames(true)
		return !jsontext.Value(m.Value).IsValid(duplicates) && jsontext.Value(m.Value).IsValid(duplicates, jsontext.AllowInvalidUTF8(true))
	},
	"duplicate_member": func(m *order.Message) bool {
		return !jsontext.Value(m.Value).IsValid() && jsontext.Value(m.Value).IsValid(jsontext.AllowDuplicateNames(true))
	},
	"nesting": func(m *order.Message) bool { return depth(m.Value) > order.MaxDepth },
	"id_bytes": func(m *order.Message) bool {
		d := read(m.Value)
		tooLong := func(id any, limit int) bool {
			s, ok := id.(string)
			return ok && len(s) > limit && utf8.RuneCountInString(s) <= limit
		}
		return tooLong(d.EventID, order.MaxEventIDBytes) || tooLong(d.OrderID, order.MaxIDBytes) ||
			slices.ContainsFunc(d.Items, func(it documentItem) bool { return tooLong(it.GoodsID, order.MaxIDBytes) })
	},
	"number_form": func(m *order.Message) bool {
		d := read(m.Value)
		odd := func(v any) bool {
			n, ok := v.(json.Number)
			return ok && !plainNumber.MatchString(n.String())
		}
		return odd(d.EventID) || odd(d.OrderID) ||
			slices.ContainsFunc(d.Items, func(it documentItem) bool { return odd(it.GoodsID) || odd(it.Num) })
	},
	"goods_sum": func(m *order.Message) bool {
		sums := map[string]int64{}
		for _, it := range read(m.Value).Items {
			var num int64
			if _, err := fmt.Sscan(fmt.Sprint(it.Num), &num); err != nil || num > order.MaxNum {
				return false // wrong by itself, without any sum
			}
			sums[fmt.Sprint(it.GoodsID)] += num
		}
		return slices.ContainsFunc(slices.Collect(maps.Values(sums)), func(sum int64) bool { return sum > order.MaxNum })
	},
	"calendar": func(m *order.Message) bool {
		s, _ := read(m.Value).OccurredAt.(string)
		at, err := time.Parse(time.RFC3339, s)
		return err == nil && (at.UTC().Year() < 1 || at.UTC().Year() > 9999)
	},
	"header": func(m *order.Message) bool { return len(m.Headers) > 0 },
}

var plainNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// document is an event as a schema sees it.
type document struct {
	EventID    any            `json:"event_id"`
	OrderID    any            `json:"order_id"`
	OccurredAt any            `json:"occurred_at"`
	Items      []documentItem `json:"items"`
}

type documentItem struct {
	GoodsID any `json:"goods_id"`
	Num     any `json:"num"`
}

func read(value []byte) document {
	var d document
	decoder := json.NewDecoder(strings.NewReader(string(value)))
	decoder.UseNumber()
	_ = decoder.Decode(&d) // of a value that is no event, nothing is asked
	return d
}

func depth(value []byte) int {
	deepest := 0
	decoder := jsontext.NewDecoder(strings.NewReader(string(value)))
	for {
		if _, err := decoder.ReadToken(); err != nil {
			return deepest
		}
		deepest = max(deepest, decoder.StackDepth())
	}
}

func broken(m *order.Message) []string {
	var names []string
	for name, holds := range exceptions {
		if holds(m) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// disagreement says how schema and decoder differ about a message without one
// of the exceptions to excuse it; "" when they do not.
func disagreement(schema *jsonschema.Schema, m *order.Message) string {
	invalid := passes(schema, m.Value)
	_, err := order.Decode(m)
	excuses := broken(m)
	switch {
	case (invalid == nil) == (err == nil), slices.Contains(excuses, "header"):
		return ""
	case invalid == nil && len(excuses) > 0:
		return ""
	case invalid == nil:
		return fmt.Sprintf("the schema accepts %s, decoding says %v", m.Value, err)
	default:
		return fmt.Sprintf("decoding accepts %s, the schema says %v", m.Value, invalid)
	}
}

func TestSchemaAndDecodingAgreeOnEveryCaseOfTheReadme(t *testing.T) {
	t.Parallel()
	schema := compile(t, "order.schema.json")
	for _, row := range fateRows(t) {
		if text := disagreement(schema, &row.message); text != "" {
			t.Errorf("%s: %.400s", row.name, text)
		}
	}
}

// Every edge in the place of every member, one at a time, so that no second
// fault hides it.
func TestSchemaAndDecodingAgreeOnEveryEdge(t *testing.T) {
	t.Parallel()
	schema := compile(t, "order.schema.json")
	check := func(name, edge, value string) {
		if text := disagreement(schema, &order.Message{Value: []byte(value)}); text != "" {
			t.Errorf("%s as %s: %s", edge, name, text)
		}
	}
	for _, edge := range slices.Concat(slices.Collect(maps.Values(edges))...) {
		for _, name := range []string{"event_id", "type", "order_id", "occurred_at", "items", "note"} {
			check(name, edge, object(with([]member{
				{"type", `"order.created"`}, {"order_id", `"A-1"`}, {"items", `[{"goods_id":"421","num":2}]`},
			}, name, edge)))
		}
		for _, name := range []string{"goods_id", "num", "note"} {
			item := object(with([]member{{"goods_id", `"421"`}, {"num", "2"}}, name, edge))
			for _, kind := range []string{"created", "cancelled"} {
				check(name, edge, `{"type":"order.`+kind+`","order_id":"A-1","items":[`+item+`]}`)
			}
		}
	}
}

// with sets one member.
func with(members []member, name, value string) []member {
	for i := range members {
		if members[i].name == name {
			members[i].value = value
			return members
		}
	}
	return append(members, member{name, value})
}

func TestSchemaAndDecodingAgreeOnMutants(t *testing.T) {
	t.Parallel()
	schema := compile(t, "order.schema.json")
	accepted, refused := 0, 0
	check := func(t *rapid.T) {
		m := &order.Message{Value: mutant(t)}
		if text := disagreement(schema, m); text != "" {
			t.Fatal(text)
		}
		if _, err := order.Decode(m); err == nil {
			accepted++
		} else {
			refused++
		}
	}
	for range 5 { // rapid runs 100 by default
		rapid.Check(t, check)
	}
	if share := float64(accepted) / float64(accepted+refused); share < 0.1 || share > 0.9 {
		t.Errorf("%d mutants accepted and %d refused: they test one side only", accepted, refused)
	}
}

func TestEveryExceptionOfTheSchemaIsRealAndInTheReadme(t *testing.T) {
	t.Parallel()
	schema := compile(t, "order.schema.json")
	created := func(orderID, num, more string) string {
		return `{"type":"order.created","order_id":` + orderID + `,"items":[{"goods_id":"421","num":` + num + `}]` + more + `}`
	}
	cases := map[string]string{
		"body_size":        created(`"A"`, "1", `,"pad":"`+strings.Repeat("x", order.MaxValueBytes)+`"`),
		"broken_text":      created("\"A\xff\"", "1", ""),
		"duplicate_member": created(`"A"`, "1", `,"order_id":"B"`),
		"nesting":          created(`"A"`, "1", `,"note":`+strings.Repeat("[", 64)+strings.Repeat("]", 64)),
		"id_bytes":         created(`"`+strings.Repeat("\u5355", 64)+`"`, "1", ""),
		"number_form":      created(`"A"`, "1e3", ""),
		"goods_sum":        `{"type":"order.created","order_id":"A","items":[{"goods_id":"1","num":1000000000},{"goods_id":1,"num":"1"}]}`,
		"calendar":         created(`"A"`, "1", `,"occurred_at":"9999-12-31T23:59:59-01:00"`),
		"header":           `{"order_id":"A","items":[{"goods_id":"421","num":1}]}`,
	}
	var stated []string
	for _, cells := range tableRows(t, readContract(t, "README.md"), "Rule") {
		stated = append(stated, code(cells[0]))
	}
	slices.Sort(stated)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(exceptions)), stated); diff != "" {
		t.Errorf("the README's rules are not the exceptions of this test: %s", diff)
	}
	for name := range exceptions {
		m := &order.Message{Value: []byte(cases[name])}
		if name == "header" {
			m.Headers = []order.Header{{Key: order.HeaderType, Value: []byte(order.Created)}}
		}
		invalid := passes(schema, m.Value)
		_, err := order.Decode(m)
		if (invalid == nil) == (err == nil) || (err == nil) != (name == "header") {
			t.Errorf("%s: the schema says %v, decoding says %v", name, invalid, err)
		}
		if got := broken(m); !slices.Equal(got, []string{name}) {
			t.Errorf("%s: its case breaks %v", name, got)
		}
	}
}

func TestTheSchemasExamplesAreEvents(t *testing.T) {
	t.Parallel()
	schema := compile(t, "order.schema.json")
	var file struct {
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal([]byte(readContract(t, "order.schema.json")), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Examples) == 0 {
		t.Fatal("there are no examples")
	}
	for _, example := range file.Examples {
		if err := passes(schema, example); err != nil {
			t.Errorf("%s: %v", example, err)
		}
		if _, err := order.Decode(&order.Message{Value: example}); err != nil {
			t.Errorf("%s: %v", example, err)
		}
	}
}
