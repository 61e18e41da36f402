package contract_test

import (
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// member is a name and the JSON text of its value.
type member struct{ name, value string }

func (m member) String() string { return `"` + m.name + `":` + m.value }

// edges are values on either side of a rule of the member they are listed for.
// Any of them is tried in any member.
var edges = map[string][]string{
	"event_id": append(textsOf(128), `77`, `"e\u001f"`, `""`),
	"order_id": append(textsOf(64), `"A\n"`, `"\u007f"`, `"\u0000"`, `"\u001f"`, `" "`, "-0", "-7", "1.0", "1e0", "1.5", "1E400"),
	"goods_id": append(textsOf(64), `"\u0034\u0032"`, `"\ud800"`, "\"\xff\"", `"\u001f"`),
	"type":     {`"order.created"`, `"order.cancelled"`, `"ORDER.CREATED"`, `"order.paid"`, "1", "null"},
	"num": {
		"0", "-0", "1", "-1", "1.0", "1e3", "1.5", "1000000000", "1000000001", "9999999999", "18446744073709551617",
		`""`, `"0"`, `"1"`, `"01"`, `"+1"`, `"-1"`, `"1.0"`, `" 1"`, `"1000000000"`, `"1000000001"`, `"1999999999"`, `"9999999999"`, `"12345678901"`,
	},
	"occurred_at": {
		`"2026-11-23T01:02:03.123456789123+23:59"`, `"2024-02-29T00:00:00-00:00"`, `"2026-02-29T00:00:00Z"`,
		`"2026-11-23T01:02:03"`, `"2026-11-23t01:02:03Z"`, `"2026-11-23T01:02:03z"`, `"2026-11-23T1:02:03Z"`, `"2026-11-23T1:02:03+08:00"`, `"2026-11-23T01:02:03,5Z"`,
		`"2026-11-23T01:02:03.Z"`, `"2026-11-23T24:00:00Z"`, `"2026-11-23T23:60:00Z"`, `"2026-11-23T23:59:60Z"`,
		`"2026-11-23T01:02:03+24:00"`, `"2026-11-23T01:02:03+08:60"`, `"2026-11-23T01:02:03-0800"`, `"2026-13-01T01:02:03Z"`, `"2026-00-01T01:02:03Z"`,
		`"0000-01-01T00:00:00Z"`, `"0001-01-01T00:00:00+00:01"`, `"9999-12-31T23:59:59-00:01"`, `"2026-11-23"`, `"now"`, "1795395723", "null",
	},
	"items": {"null", "[]", "{}", "[null]", "[{}]", "[[]]", "true", `"items"`},
}

// textsOf are ids about as long as the limit: ASCII, Chinese, and integers.
func textsOf(limit int) []string {
	return []string{
		`"` + strings.Repeat("x", limit) + `"`, `"` + strings.Repeat("x", limit+1) + `"`,
		`"` + strings.Repeat("\u5355", limit/3) + `"`, `"` + strings.Repeat("\u5355", limit/3+1) + `"`,
		strings.Repeat("9", limit), strings.Repeat("9", limit+1),
		"-" + strings.Repeat("9", limit-1), "-" + strings.Repeat("9", limit),
	}
}

// anyEdge draws an edge of the member, or now and then one of another.
func anyEdge(t *rapid.T, name string) string {
	pool, known := edges[name]
	if !known || rapid.IntRange(0, 3).Draw(t, "elsewhere") == 0 {
		pool = edges[rapid.SampledFrom(slices.Sorted(maps.Keys(edges))).Draw(t, "of")]
	}
	return rapid.SampledFrom(pool).Draw(t, "edge")
}

// Ordinary values, for the members that are left as they are.
var (
	ids  = []string{`"A-1"`, "421", `"421"`, "-7", `"\u8ba2\u5355 1"`, `"\u0041"`}
	nums = []string{"1", "2", `"3"`, "1000000000", `"1000000000"`}
)

// itemsHere stands for the items until they have been mutated themselves.
const itemsHere = "items"

// mutant draws the value of an event that has been changed in up to three
// places, so that most of them are nearly right.
func mutant(t *rapid.T) []byte {
	pick := func(pool []string) string { return rapid.SampledFrom(pool).Draw(t, "value") }
	items := [][]member{}
	for range rapid.SampledFrom([]int{0, 1, 1, 2, 2, 3, 500, 501}).Draw(t, "items") {
		// Drawing for each of 500 would be slow and show nothing.
		if len(items) < 3 {
			items = append(items, []member{{"goods_id", pick(ids)}, {"num", pick(nums)}})
		} else {
			items = append(items, []member{{"goods_id", `"g"`}, {"num", "1"}})
		}
	}
	event := []member{
		{"event_id", pick(ids)}, {"type", pick([]string{`"order.created"`, `"order.created"`, `"order.cancelled"`})},
		{"order_id", pick(ids)}, {"occurred_at", `"2026-11-23T01:02:03Z"`},
	}
	event = append(event, member{"items", itemsHere})
	for range rapid.IntRange(0, 3).Draw(t, "mutations") {
		if len(items) > 0 && rapid.Bool().Draw(t, "in an item") {
			i := rapid.IntRange(0, min(len(items), 3)-1).Draw(t, "item")
			items[i] = mutate(t, items[i])
		} else {
			event = mutate(t, event)
		}
	}
	var texts []string
	for _, it := range items {
		texts = append(texts, object(it))
	}
	for i := range event {
		if event[i].value == itemsHere {
			event[i].value = "[" + strings.Join(texts, ",") + "]"
		}
	}
	value := object(event)
	switch rapid.IntRange(0, 19).Draw(t, "bytes") {
	case 0:
		value = value[:rapid.IntRange(0, len(value)).Draw(t, "cut")]
	case 1:
		at := rapid.IntRange(0, len(value)).Draw(t, "at")
		value = value[:at] + string(rapid.Byte().Draw(t, "byte")) + value[at:]
	case 2:
		value = anyEdge(t, "")
	}
	return []byte(value)
}

func object(members []member) string {
	var texts []string
	for _, m := range members {
		texts = append(texts, m.String())
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// mutate changes one member, or adds one.
func mutate(t *rapid.T, members []member) []member {
	if len(members) == 0 {
		return []member{{"note", "1"}}
	}
	i := rapid.IntRange(0, len(members)-1).Draw(t, "member")
	m := &members[i]
	switch rapid.IntRange(0, 9).Draw(t, "mutation") {
	case 0:
		return append(members[:i:i], members[i+1:]...)
	case 1:
		return append(members, *m)
	case 2:
		m.name = strings.ToUpper(m.name)
	case 3:
		return append(members, member{"note", anyEdge(t, "")})
	default:
		m.value = anyEdge(t, m.name)
	}
	return members
}
