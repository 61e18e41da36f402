package replay

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderconsumer/internal/stock"
)

// remembered draws what may be remembered about an order.
func remembered(t *rapid.T, order string) memory {
	m := memory{record: stock.Record{Order: order, State: rapid.SampledFrom([]stock.State{
		stock.Deducted, stock.Rejected, stock.Released, stock.Voided}).Draw(t, "state")}}
	if rapid.Bool().Draw(t, "waits") {
		m.waits = rapid.String().Draw(t, "where")
	}
	for range rapid.SampledFrom([]int{0, 1, 3, 500}).Draw(t, "lines") {
		m.record.Lines = append(m.record.Lines, stock.Line{
			Goods: rapid.StringN(1, 64, 64).Draw(t, "goods"),
			Num:   rapid.Int64Range(1, 1_000_000_000).Draw(t, "num"),
		})
	}
	return m
}

// TestShelfIsAMap holds the shelf against a map, through overwriting and
// collisions of a table that is as full as it may be.
func TestShelfIsAMap(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s, err := newShelf(folder, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		want := make(map[string]memory)
		for range rapid.IntRange(0, 60).Draw(t, "puts") {
			order := fmt.Sprint("A-", rapid.IntRange(0, 30).Draw(t, "order"))
			want[order] = remembered(t, order)
			if err := s.put(want[order]); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 31 {
			order := fmt.Sprint("A-", i)
			got, ok, err := s.get(order)
			if err != nil {
				t.Fatal(err)
			}
			m, known := want[order]
			if ok != known || !cmp.Equal(m, got, cmp.AllowUnexported(memory{})) {
				t.Fatalf("%s: %s", order, cmp.Diff(m, got, cmp.AllowUnexported(memory{})))
			}
		}
	})
}

func TestShelfHoldsWhatItWasMadeForAndNoMore(t *testing.T) {
	t.Parallel()
	s, err := newShelf(t.TempDir(), 3000)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	order := func(i int) string { return fmt.Sprint("order-", i) }
	full := 0
	for ; err == nil; full++ {
		err = s.put(memory{record: stock.Record{Order: order(full), State: stock.Deducted}})
	}
	if !errors.Is(err, errShelfFull) || full <= 3000 {
		t.Fatalf("full after %d orders: %v", full, err)
	}
	for i := range full - 1 {
		if m, ok, err := s.get(order(i)); err != nil || !ok || m.record.Order != order(i) {
			t.Fatalf("%s: %v, %v, %v", order(i), m, ok, err)
		}
	}
	if _, ok, err := s.get("nobody"); ok || err != nil {
		t.Errorf("nobody: %v, %v", ok, err)
	}
}
