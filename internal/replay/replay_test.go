package replay

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawRanges are ranges that do not overlap, in any order.
func drawRanges(t *rapid.T, name string) []Range {
	var list []Range
	for _, topic := range []string{"orders", "orders.dlq"} {
		for partition := range 2 {
			at := int64(0)
			for range rapid.IntRange(0, 4).Draw(t, name) {
				r := Range{Topic: topic, Partition: partition, From: at + rapid.Int64Range(0, 6).Draw(t, "gap")}
				r.To = r.From + rapid.Int64Range(0, 3).Draw(t, "length") // some are empty
				at = r.To
				list = append(list, r)
			}
		}
	}
	return rapid.Permutation(list).Draw(t, "order")
}

func TestOverlapIsWhatEachPairSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRanges(t, "mine"), drawRanges(t, "theirs")
		want := slices.ContainsFunc(a, func(r Range) bool { return slices.ContainsFunc(b, r.overlaps) })
		if want && !slices.ContainsFunc(a, func(r Range) bool { return r.Messages() > 0 }) {
			t.Fatalf("%v and %v share a message, and the first has none", a, b)
		}
		before := slices.Clone(a)
		mine, theirs, got := Overlap(a, b)
		if got != want {
			t.Fatalf("%v and %v: got %t, want %t", a, b, got, want)
		}
		if got && (!mine.overlaps(theirs) || !slices.Contains(a, mine) || !slices.Contains(b, theirs)) {
			t.Fatalf("%v and %v: got %s and %s", a, b, mine, theirs)
		}
		if !slices.Equal(a, before) {
			t.Fatal("the list has changed")
		}
	})
}

// BenchmarkOverlap is two replays of as many single messages as there may be.
func BenchmarkOverlap(b *testing.B) {
	var mine, theirs []Range
	for i := range int64(20_000) {
		mine = append(mine, Range{Topic: "orders", From: 4 * i, To: 4*i + 1})
		theirs = append(theirs, Range{Topic: "orders", From: 4*i + 2, To: 4*i + 3})
	}
	for b.Loop() {
		if _, _, shared := Overlap(mine, theirs); shared {
			b.Fatal("they share nothing")
		}
	}
}
