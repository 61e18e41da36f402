package order

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func FuzzDecode(f *testing.F) {
	for _, value := range []string{
		fullEvent,
		`{"type":"order.cancelled","order_id":-7,"items":null}`,
		`{"type":"order.created","order_id":"\u8ba2\u5355 \"1\"","items":[{"goods_id":"\u0034\u0032","num":"1000000000"}]}`,
		`{"type":"order.created","order_id":"A","order_id":"B"}`,
		`{"note":{"deep":[[[[1.5e3]]]]},"order_id":"A"}`,
		`{"order_id":"A` + "\xff" + `"}`,
		`{"occurred_at":"9999-12-31T23:59:59.999999999-23:59","order_id":"A"}`,
	} {
		f.Add([]byte(value), "", "", "")
		f.Add([]byte(value), "order.created", "e-1", "2026-11-23T01:02:03Z")
	}
	f.Fuzz(func(t *testing.T, value []byte, kind, id, at string) {
		m := &Message{Value: bytes.Clone(value), Headers: []Header{
			{HeaderType, []byte(kind)}, {HeaderID, []byte(id)}, {HeaderTime, []byte(at)},
		}}
		e, err := Decode(m)
		if !bytes.Equal(m.Value, value) {
			t.Fatalf("the value %q became %q", value, m.Value)
		}
		checkIDs(t, e)
		if err != nil {
			checkMalformed(t, err)
			return
		}
		checkLimits(t, e)
		checkAgainstStandardLibrary(t, value, e)
		again, err := Decode(&Message{Value: AppendEvent(nil, e)})
		if err != nil {
			t.Fatalf("%+v does not decode again: %v", e, err)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

// checkIDs holds for events that are refused, too.
func checkIDs(t *testing.T, e Event) {
	t.Helper()
	for _, id := range []struct {
		text  string
		limit int
	}{{e.ID, MaxEventIDBytes}, {e.OrderID, MaxIDBytes}} {
		if len(id.text) > id.limit || hasControl(id.text) || !utf8.ValidString(id.text) {
			t.Errorf("id %q breaks the contract", id.text)
		}
	}
}

func checkLimits(t *testing.T, e Event) {
	t.Helper()
	if e.ID == "" || e.OrderID == "" || e.Type != Created && e.Type != Cancelled {
		t.Errorf("accepted without id, order id or type: %+v", e)
	}
	if len(e.Lines) > MaxItems || e.Type == Created && len(e.Lines) == 0 {
		t.Errorf("accepted %d lines of %s", len(e.Lines), e.Type)
	}
	for i, line := range e.Lines {
		if line.Num < 1 || line.Num > MaxNum || line.Goods == "" || len(line.Goods) > MaxIDBytes {
			t.Errorf("accepted line %+v", line)
		}
		if i > 0 && e.Lines[i-1].Goods >= line.Goods {
			t.Errorf("lines are not sorted and unique: %v", e.Lines)
		}
	}
}

// checkAgainstStandardLibrary reads an accepted value a second way.
func checkAgainstStandardLibrary(t *testing.T, value []byte, e Event) {
	t.Helper()
	var members map[string]any
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	if err := decoder.Decode(&members); err != nil {
		t.Fatalf("accepted %q, which is no JSON: %v", value, err)
	}
	if got := fmt.Sprint(members["order_id"]); got != e.OrderID {
		t.Errorf("order id %q, want %q", e.OrderID, got)
	}
	items, _ := members["items"].([]any)
	var want, got int64
	for _, it := range items {
		var num int64
		if _, err := fmt.Sscan(fmt.Sprint(it.(map[string]any)["num"]), &num); err != nil {
			t.Fatal(err)
		}
		want += num
	}
	for _, line := range e.Lines {
		got += line.Num
	}
	if got != want {
		t.Errorf("nums of %s add up to %d, want %d", value, got, want)
	}
}
