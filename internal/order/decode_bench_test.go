package order

import (
	"fmt"
	"strings"
	"testing"
)

func itemsText(n int) string {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(`{"goods_id":"%d","num":%d}`, 1000-i, i+1))
	}
	return `{"event_id":"018f3c1a-7b2c-7def-8123-456789abcdef","type":"order.created","order_id":"A-1001",` +
		`"occurred_at":"2026-11-23T01:02:03Z","items":[` + strings.Join(items, ",") + `]}`
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 3, 20, MaxItems} {
		b.Run(fmt.Sprintf("items=%d", n), func(b *testing.B) {
			m := &Message{Value: []byte(itemsText(n))}
			b.ReportAllocs()
			b.SetBytes(int64(len(m.Value)))
			for b.Loop() {
				if _, err := Decode(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	e, err := decodeText(itemsText(3))
	if err != nil {
		b.Fatal(err)
	}
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		buffer = AppendEvent(buffer[:0], e)
	}
}

// An event must cost only what is kept of it: the text of its ids, and its
// lines. The reader is held here instead of taken from the pool, which the race
// detector empties at random.
func TestAnEventCostsTwoAllocations(t *testing.T) {
	m := &Message{Value: []byte(itemsText(3))}
	r := new(eventReader)
	allocations := testing.AllocsPerRun(100, func() {
		if fault := r.read(m.Value); fault != nil {
			t.Fatal(fault)
		}
		r.result(m)
	})
	if allocations > 2 {
		t.Errorf("got %v allocations an event, want 2", allocations)
	}
}
