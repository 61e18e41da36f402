package redrive

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"orderconsumer/internal/order"
)

// FuzzParseID holds that a letter's name is one place, or none.
func FuzzParseID(f *testing.F) {
	for _, text := range []string{"3/17", "", "/", "-1/2", "1/2/3", "+1/+2", "00/9223372036854775808", "1/ 2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseID(text)
		if err != nil {
			return
		}
		if id.Partition < 0 || id.Offset < 0 {
			t.Errorf("%q is %s", text, id)
		}
		if back, err := ParseID(id.String()); err != nil || back != id {
			t.Errorf("%q is %s, and that is %s, %v", text, id, back, err)
		}
	})
}

// FuzzNewLetter holds that any message of the dead-letter topic, whoever wrote
// it, can be shown and grouped: as text, under a cause.
func FuzzNewLetter(f *testing.F) {
	f.Add([]byte("A-1"), []byte(`{"type":"order.created","order_id":"A-1","items":[{"goods_id":"1","num":1}]}`), "goods_unknown", "goods 1 is not in the catalogue", "2026-11-23T01:02:03Z")
	f.Add([]byte("\xff"), []byte("{"), "schema_invalid", "schema_invalid at /items/0/num: got 0", "yesterday")
	f.Add([]byte(nil), []byte(nil), "", " at /", "")
	f.Fuzz(func(t *testing.T, key, value []byte, code, reason, last string) {
		m := order.Message{Topic: "orders.g.dlq", Partition: 1, Offset: 2, Key: key, Value: value, Time: time.UnixMilli(1), Headers: []order.Header{
			{Key: order.HeaderErrorCode, Value: []byte(code)}, {Key: order.HeaderErrorMessage, Value: []byte(reason)}, {Key: order.HeaderLastFailedAt, Value: []byte(last)},
		}}
		l := newLetter(&m, make(map[string]string))
		for what, text := range map[string]string{"order": l.Order, "type": string(l.Type), "cause": l.Cause, "code": l.Code, "reason": l.Reason} {
			if !utf8.ValidString(text) {
				t.Errorf("%s is no text: %q", what, text)
			}
		}
		if l.Cause == "" || !strings.HasPrefix(l.Cause, l.Code) && l.Code != "" {
			t.Errorf("cause %q of code %q", l.Cause, l.Code)
		}
		if groups := Groups([]*Letter{&l, &l}); len(groups) != 1 || groups[0].Letters != 2 || groups[0].Orders != 1 {
			t.Errorf("one letter twice is %+v", groups)
		}
	})
}
