package order

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderconsumer/internal/stock"
)

const fullEvent = `{"event_id":"018f3c1a-7b2c-7def-8123-456789abcdef","type":"order.created","order_id":"A-1001",` +
	`"occurred_at":"2026-11-23T09:02:03.25+08:00","channel":"web",` +
	`"items":[{"goods_id":"77","num":1,"gift":true},{"goods_id":421,"num":"2"},{"goods_id":"77","num":4}]}`

func decodeText(text string, headers ...Header) (Event, error) {
	return Decode(&Message{Value: []byte(text), Headers: headers})
}

func TestDecodeReadsEveryMember(t *testing.T) {
	t.Parallel()
	got, err := decodeText(fullEvent)
	if err != nil {
		t.Fatal(err)
	}
	want := Event{
		ID:         "018f3c1a-7b2c-7def-8123-456789abcdef",
		Type:       Created,
		OrderID:    "A-1001",
		OccurredAt: time.Date(2026, 11, 23, 1, 2, 3, 250e6, time.UTC),
		Lines:      []stock.Line{{Goods: "421", Num: 2}, {Goods: "77", Num: 5}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeTakesFromHeadersWhatTheValueLacks(t *testing.T) {
	t.Parallel()
	headers := []Header{
		{HeaderID, []byte("not this one")},
		{HeaderID, []byte("e-1")},
		{HeaderType, []byte("order.cancelled")},
		{HeaderTime, []byte("2026-11-23T01:02:03Z")},
	}
	noon := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	want := Event{ID: "e-1", Type: Cancelled, OrderID: "A-1", OccurredAt: noon}
	got, err := decodeText(`{"order_id":"A-1"}`, headers...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	want.ID, want.OccurredAt = "e-2", noon.Add(time.Hour)
	got, err = decodeText(`{"event_id":"e-2","order_id":"A-1","occurred_at":"2026-11-23T02:02:03Z"}`, headers...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the value does not come first: %s", diff)
	}
}

func TestDecodeNamesTheOrderOfAnEventItRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, id, orderID string }{
		{"the order id stands before what is wrong", `{"order_id":"A-1","type":"order.created","items":[{"goods_id":"1","num":0}]}`, "order.created:A-1", "A-1"},
		{"the order id stands after what is wrong", `{"type":"order.created","items":[{"goods_id":"1","num":0}],"order_id":"A-1"}`, "order.created:A-1", "A-1"},
		{"the type is unknown", `{"event_id":"e-1","type":"order.paid","order_id":"A-1"}`, "e-1", "A-1"},
		{"the value is cut off", `{"event_id":"e-1","order_id":"A-1","ty`, "e-1", "A-1"},
		{"the order id comes twice", `{"order_id":"A-1","order_id":"A-2"}`, "", "A-1"},
		{"the order id is what is wrong", `{"event_id":"e-1","type":"order.created","order_id":[1],"items":[]}`, "e-1", ""},
		{"there is nothing to be read", `]`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := decodeText(c.text)
			if err == nil {
				t.Fatalf("got %+v, want an error", got)
			}
			if got.ID != c.id || got.OrderID != c.orderID || got.Lines != nil {
				t.Errorf("got event %q of order %q with lines %v, want event %q of order %q and no lines",
					got.ID, got.OrderID, got.Lines, c.id, c.orderID)
			}
		})
	}
}

func TestDecodeSaysWhereAndWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"type":"order.created","order_id":"A","items":[{"goods_id":"1","num":0}]}`:           `schema_invalid at /items/0/num: got 0, want 1..1000000000`,
		`{"type":"order.created","order_id":"A","items":[{"goods_id":"1","num":1},{"num":1}]}`: `schema_invalid at /items/1/goods_id: got nothing, want a string without control characters, or an integer`,
		`{"type":"order.paid","order_id":"A"}`:                                                 `schema_invalid at /type: got "order.paid", want order.created or order.cancelled`,
		`{"type":"order.created","order_id":"","items":[{"goods_id":"1","num":1}]}`:            `schema_invalid at /order_id: got 0 bytes, want 1..64 bytes`,
		`{"type":"order.created","order_id":"A"}`:                                              `schema_invalid at /items: got nothing, want 1..500 items`,
		`{"type":"order.created","order_id":"A","items":[{"goods_id":"1","num":[[0]]}]}`:       `schema_invalid at /items/0/num: got an array, want 1..1000000000`,
		`{"type":"order.created","order_id":"A","items":[7]}`:                                  `schema_invalid at /items/0: got 7, want an object`,
		`{"type":"order.created","type":"order.created","order_id":"A"}`:                       `duplicate_member at /type: named twice`,
		`{"type":"order.created","order_id":"A","items":[]} x`:                                 `malformed_json: invalid character 'x' at start of value at byte 51`,
		`{"type":"order.created","order_id":"A","items":[]} 1`:                                 `malformed_json: more data after the event`,
		"{\"type\":\"order.created\",\"order_id\":\"A\xff\"}":                                  `invalid_utf8: broken at byte 37`,
		"  ": `empty_body: the message has no value`,
		`{"note":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`:                           `malformed_json: nested more than 64 levels deep`,
		`{"type":"order.created","order_id":"A","items":[{"goods_id":"1","num":` + "1" + `}],"occurred_at":"now"}`: `schema_invalid at /occurred_at: got "now", want a time as 2026-11-23T01:02:03Z`,
	} {
		if _, err := decodeText(text); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
	_, err := decodeText(`{"type":"order.created","order_id":"A"}`, Header{HeaderType, []byte("order.cancelled")})
	if want := `schema_invalid: got header ce_type "order.cancelled", want order.created as in the value`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Items above the limit are counted and not kept: how much memory an event
// takes must not be up to whoever wrote it.
func TestDecodeDoesNotReadItemsAboveTheLimit(t *testing.T) {
	t.Parallel()
	_, err := decodeText(`{"type":"order.created","order_id":1,"items":[` +
		strings.Repeat(`{"goods_id":"1","num":1},`, MaxItems) + `{"num":"no item"},0]}`)
	if want := "schema_invalid at /items: got 502 items, want 1..500 items"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// checkMalformed fails unless err can go into a header and a log line as it is.
func checkMalformed(t testing.TB, err error) {
	t.Helper()
	malformed, ok := errors.AsType[*Malformed](err)
	if !ok {
		t.Fatalf("got %T %v, want a *Malformed", err, err)
	}
	codes := []string{CodeEmptyBody, CodeTooLarge, CodeMalformedJSON, CodeInvalidUTF8, CodeDuplicateMember, CodeSchemaInvalid}
	if !slices.Contains(codes, malformed.Code) {
		t.Errorf("unknown code %q", malformed.Code)
	}
	for _, text := range []string{malformed.Path, malformed.Detail} {
		if len(text) > maxDetailBytes || !utf8.ValidString(text) || hasControl(text) {
			t.Errorf("%q has %d bytes and is no text for a header", text, len(text))
		}
	}
	if malformed.Detail == "" {
		t.Errorf("%v says nothing", err)
	}
}

func TestDecodeErrorsAreShortTextWhateverTheValue(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\\n\u5355\\u0000", 20_000)
	for _, text := range []string{
		`{"type":"` + long + `"}`,
		`{"order_id":"` + long + `"}`,
		`{"` + long + `":1,"` + long + `":2}`,
		`{"` + long + `":tru}`,
		`{"` + long + `":"\ud800` + long + `"}`,
		`{"items":[{"num":"` + long + `"}]}`,
		`{"items":[{"num":` + strings.Repeat("9", 100_000) + `}]}`,
		`{"occurred_at":"` + long + `"}`,
		`"` + long + `"`,
		strings.Repeat("\x7f", 1000),
		strings.Repeat("[", 200_000),
		strings.Repeat(`{"a":`, 200_000),
		"{" + strings.Repeat("[", 200_000),
	} {
		e, err := decodeText(text)
		checkMalformed(t, err)
		if len(e.ID)+len(e.OrderID) > MaxEventIDBytes+MaxIDBytes {
			t.Errorf("ids of %d and %d bytes", len(e.ID), len(e.OrderID))
		}
	}
	_, err := decodeText(`{"order_id":"A"}`, Header{HeaderType, []byte(strings.Repeat("\xff\n", 1000))})
	checkMalformed(t, err)
	_, err = decodeText(`{"order_id":"A"}`, Header{HeaderTime, []byte(strings.Repeat("\xff\n", 1000))})
	checkMalformed(t, err)
}

func TestDecodeKeepsNothingOfTheMessage(t *testing.T) {
	t.Parallel()
	value := []byte(fullEvent)
	got, err := Decode(&Message{Value: value})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(value, []byte(fullEvent)) {
		t.Error("the value was changed")
	}
	want := fmt.Sprint(got)
	for i := range value {
		value[i] = 'z'
	}
	if _, err := decodeText(itemsText(5)); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != want {
		t.Errorf("the event became %v, want %s", got, want)
	}
}

// A reader is used again and again; what one event left in it must not show in
// the next.
func TestDecodeForgetsTheEventBefore(t *testing.T) {
	t.Parallel()
	good := `{"type":"order.created","order_id":"A-2","items":[{"goods_id":"1","num":1}]}`
	want, err := decodeText(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, before := range []string{
		fullEvent, `{"event_id":"e-9","type":"order.paid","items":[{"num":0},{`, `{"order_id":"A-1"`, "", "[[[", `{"a":1,"a":2}`,
		`{"pad":"` + strings.Repeat("x", maxPooledBytes) + `"}`,
	} {
		_, _ = decodeText(before) // only what it leaves behind matters
		got, err := decodeText(good)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("after %.40s: %v %s", before, err, diff)
		}
		empty, err := decodeText(`{}`)
		if diff := cmp.Diff(Event{}, empty); err == nil || diff != "" {
			t.Errorf("after %.40s: %v %s", before, err, diff)
		}
	}
}

func TestDecodeIsSafeForManyGoroutines(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				id := fmt.Sprintf("A-%d-%d", g, i)
				e, err := decodeText(`{"type":"order.created","order_id":"` + id + `","items":[{"goods_id":"` + id + `","num":1}]}`)
				if err != nil || e.OrderID != id || e.Lines[0].Goods != id || e.ID != "order.created:"+id {
					t.Errorf("got %+v %v, want order %s", e, err, id)
				}
			}
		})
	}
	wg.Wait()
}

// anyID draws ids that the contract allows, ordinary and awkward ones.
func anyID(limit int) *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9-]{1,20}`),
		rapid.StringOfN(rapid.Rune(), 1, limit, limit),
	).Filter(func(s string) bool { return s != "" && !hasControl(s) && utf8.ValidString(s) })
}

func anyEvent(t *rapid.T) Event {
	nums := rapid.MapOfN(anyID(MaxIDBytes), rapid.Int64Range(1, MaxNum), 1, 20).Draw(t, "lines")
	e := Event{
		ID:      anyID(MaxEventIDBytes).Draw(t, "event id"),
		Type:    rapid.SampledFrom([]Type{Created, Cancelled}).Draw(t, "type"),
		OrderID: anyID(MaxIDBytes).Draw(t, "order id"),
	}
	if rapid.Bool().Draw(t, "dated") {
		e.OccurredAt = time.Unix(rapid.Int64Range(-62_135_596_799, 253_402_300_799).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).UTC()
	}
	for goods, num := range nums {
		e.Lines = append(e.Lines, stock.Line{Goods: goods, Num: num})
	}
	slices.SortFunc(e.Lines, func(a, b stock.Line) int { return strings.Compare(a.Goods, b.Goods) })
	return e
}

func TestAnEventSurvivesEncodingAndDecoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := anyEvent(t)
		value := AppendEvent(nil, want)
		got, err := Decode(&Message{Value: value})
		if err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: %s", value, diff)
		}
	})
}

func TestDecodeSumsAndSortsItemsWhateverTheirOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		goods := rapid.SliceOfN(rapid.IntRange(0, 9), 1, MaxItems).Draw(t, "goods")
		sums := map[string]int64{}
		var items []string
		for _, g := range goods {
			sums[fmt.Sprint(g)] += int64(g + 1)
			items = append(items, fmt.Sprintf(`{"goods_id":%d,"num":"%d"}`, g, g+1))
		}
		e, err := decodeText(`{"type":"order.created","order_id":1,"items":[` + strings.Join(items, ",") + `]}`)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		for _, line := range e.Lines {
			got[line.Goods] += line.Num
		}
		if diff := cmp.Diff(sums, got); diff != "" {
			t.Error(diff)
		}
		if len(e.Lines) != len(sums) || !slices.IsSortedFunc(e.Lines, func(a, b stock.Line) int { return strings.Compare(a.Goods, b.Goods) }) {
			t.Errorf("lines are not sorted and unique: %v", e.Lines)
		}
	})
}
