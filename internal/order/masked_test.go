package order

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"orderconsumer/internal/stock"
)

// canary is what somebody's event says and no log may repeat.
const canary = "canary-7f3a"

// canaryEvents are events that cannot be used, with the canary wherever a value, a
// header or a name can be.
func canaryEvents() map[string]*Message {
	event := func(text string, headers ...Header) *Message {
		return &Message{Value: []byte(strings.ReplaceAll(text, "?", canary)), Headers: headers}
	}
	header := func(name string) Header { return Header{Key: name, Value: []byte(canary + "\n")} }
	const good = `{"type":"order.created","order_id":"A-1","items":[{"goods_id":"1","num":1}]}`
	return map[string]*Message{
		"no JSON":                    event("?"),
		"cut off":                    event(`{"order_id":"A-1","note":"?`),
		"a member that breaks off":   event(`{"?":tru`),
		"an escape that is none":     event(`{"order_id":"A-1","note":"\?"}`),
		"half a surrogate":           event(`{"?":"\ud800?"}`),
		"a member twice":             event(`{"?":1,"?":2}`),
		"a member in a member twice": event(`{"note":{"?":{"?":1,"?":2}}}`),
		"more than one value":        event(good + `"?"`),
		"no object":                  event(`"?"`),
		"type":                       event(`{"type":"?","order_id":"A-1"}`),
		"order id":                   event(`{"type":"order.created","order_id":"\n?"}`),
		"event id":                   event(`{"type":"order.created","order_id":"A-1","event_id":"\n?"}`),
		"goods id":                   event(`{"type":"order.created","order_id":"A-1","items":[{"goods_id":"\n?","num":1}]}`),
		"num":                        event(`{"type":"order.created","order_id":"A-1","items":[{"goods_id":"1","num":"?"}]}`),
		"item":                       event(`{"type":"order.created","order_id":"A-1","items":["?"]}`),
		"items":                      event(`{"type":"order.created","order_id":"A-1","items":"?"}`),
		"time":                       event(`{"type":"order.created","order_id":"A-1","occurred_at":"?"}`),
		"header of the type":         event(`{"order_id":"A-1"}`, header(HeaderType)),
		"header of the time":         event(good, header(HeaderTime)),
		"header of the id":           event(good, header(HeaderID)),
	}
}

func TestAMaskedReasonRepeatsNothingOfTheEvent(t *testing.T) {
	t.Parallel()
	repeated := 0
	for name, m := range canaryEvents() {
		_, err := Decode(m)
		if err == nil {
			t.Errorf("%s: the event is taken", name)
			continue
		}
		s := Settlement{Code: CodeSchemaInvalid, Cause: fmt.Errorf("decode: %w", err)}
		masked, shown := s.Reason(false), s.Reason(true)
		if strings.Contains(masked, canary) || strings.Contains(masked, canary[:4]) {
			t.Errorf("%s: %s", name, masked)
		}
		if strings.Contains(shown, canary) {
			repeated++
			if !strings.Contains(masked, mask) {
				t.Errorf("%s: %q does not say that something is left out", name, masked)
			}
		}
		if shown != "decode: "+err.Error() {
			t.Errorf("%s: shown as %q, want %q", name, shown, err)
		}
	}
	if repeated < 10 {
		t.Errorf("only %d errors repeat what they are about: the test looks for what is not there", repeated)
	}
}

func TestAMaskedReasonSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"num":                "schema_invalid at /items/0/num: got (masked), want 1..1000000000",
		"header of the type": "schema_invalid: got header ce_type (masked), want order.created or order.cancelled",
		"cut off":            "malformed_json: (masked) at byte 37",
		"a member twice":     "duplicate_member at (masked): named twice",
	} {
		_, err := Decode(canaryEvents()[name])
		if got := Masked(err); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	// What describes without repeating stays.
	_, err := decodeText(`{"type":"order.created","order_id":"A-1","items":[{"goods_id":"1","num":[]}]}`)
	if got := Masked(err); got != err.Error() || !strings.Contains(got, "got an array") {
		t.Errorf("%s became %s", err, got)
	}
}

func TestMaskedReasonsOfOtherFailures(t *testing.T) {
	t.Parallel()
	var index runtime.Error
	func() {
		defer func() { index, _ = recover().(runtime.Error) }()
		_ = []int{}[len(canary)]
	}()
	for _, c := range []struct {
		cause error
		want  string
	}{
		{fmt.Errorf("%w: 421, 77", ErrGoodsUnknown), "goods are not in the catalogue: 421, 77"},
		{&panicError{value: canary, stack: []byte(canary)}, "panic: string (masked)"},
		{&panicError{value: index, stack: []byte(canary)}, "panic: " + index.Error()},
		{fmt.Errorf("apply 1 orders: %w", errors.New("Error 1064: syntax near '"+canary+"' it's at line 1")), "apply 1 orders: Error 1064: syntax near (masked)s at line 1"},
		{fmt.Errorf("%w: Duplicate entry '%s' for key 'PRIMARY'", stock.ErrBusy, canary), stock.ErrBusy.Error() + ": Duplicate entry (masked)"},
		{errors.New("near '" + canary), "near (masked)"},
	} {
		_, code := Classify(c.cause)
		s := Settlement{Code: code, Cause: c.cause}
		if got := s.Reason(false); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		if got := s.Reason(true); !strings.HasPrefix(clip(c.cause.Error(), maxErrorMessageBytes), got) || strings.Contains(got, "\n") {
			t.Errorf("shown: %q, want %q", got, c.cause)
		}
	}
	if got := (&Settlement{}).Reason(false); got != "" {
		t.Errorf("no cause is %q", got)
	}
}
