package workload

import (
	"errors"
	"testing"

	"orderconsumer/internal/order"
)

func TestEachBreakageBreaksWhatItIsMeantTo(t *testing.T) {
	t.Parallel()
	w, err := New(Config{Orders: 1, Goods: 1})
	if err != nil {
		t.Fatal(err)
	}
	for n, b := range breakages {
		value := w.brokenItem(n).Value
		_, err := order.Decode(&order.Message{Value: value})
		fault, ok := errors.AsType[*order.Malformed](err)
		if !ok || fault.Code != b.code {
			t.Errorf("got %v, want %s: %q", err, b.code, value)
		}
		if len(value) > order.MaxValueBytes/2 {
			t.Errorf("%d bytes do not fit every topic: %q", len(value), value[:100])
		}
	}
}
