package stock

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawLines draws a canonical, non-empty set of lines over few goods, so that
// orders meet, run short, and now and then ask for goods nobody has.
func drawLines(t *rapid.T, label string) []Line {
	nums := rapid.MapOfN(
		rapid.SampledFrom([]string{"a", "b", "c", "d", "nowhere"}),
		rapid.Int64Range(1, 6), 1, 4,
	).Draw(t, label)
	lines := make([]Line, 0, len(nums))
	for _, goods := range slices.Sorted(maps.Keys(nums)) {
		lines = append(lines, Line{goods, nums[goods]})
	}
	return lines
}

func drawRequests(t *rapid.T, label string) []Request {
	n := rapid.IntRange(1, 12).Draw(t, label+" size")
	reqs := make([]Request, n)
	for i := range reqs {
		order := fmt.Sprint(rapid.IntRange(0, 7).Draw(t, label+" order"))
		if rapid.IntRange(0, 3).Draw(t, label+" action") == 0 {
			reqs[i] = releaseOf(order)
		} else {
			reqs[i] = deductOf(order, drawLines(t, label+" lines")...)
		}
	}
	return reqs
}

func drawLevels(t *rapid.T) map[string]int64 {
	levels := map[string]int64{}
	for _, goods := range []string{"a", "b", "c", "d"} {
		levels[goods] = rapid.Int64Range(0, 20).Draw(t, "level of "+goods)
	}
	return levels
}

// TestHistoryKeepsThePromises runs batches one after the other and holds every
// step against what the ledger promises.
func TestHistoryKeepsThePromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		levels := drawLevels(t)
		start := maps.Clone(levels)
		book := Book{Levels: levels, Records: map[string]Record{}}
		var movements []Movement

		for batch := range rapid.IntRange(1, 5).Draw(t, "batches") {
			reqs := drawRequests(t, fmt.Sprint("batch ", batch))
			before := maps.Clone(book.Levels)
			decisions, changes := book.Decide(reqs, noon)
			if len(decisions) != len(reqs) {
				t.Fatalf("%d decisions for %d requests", len(decisions), len(reqs))
			}
			movements = append(movements, changes.Movements...)
			checkChanges(t, before, book, decisions, changes)
			remember(&book, changes)
		}

		sums := maps.Clone(start)
		perOrder := map[string][]Movement{}
		seen := map[Movement]bool{}
		for _, m := range movements {
			sums[m.Goods] += m.Delta
			perOrder[m.Ref] = append(perOrder[m.Ref], m)
			key := Movement{Ref: m.Ref, Goods: m.Goods, Kind: m.Kind}
			if seen[key] {
				t.Fatalf("order %s moved %s twice by %s", m.Ref, m.Goods, m.Kind)
			}
			seen[key] = true
			if m.Balance < 0 {
				t.Fatalf("negative balance: %+v", m)
			}
		}
		if diff := cmp.Diff(book.Levels, sums); diff != "" {
			t.Fatalf("levels are not start plus movements (-levels +sums):\n%s", diff)
		}
		for order, record := range book.Records {
			if found := AuditOrder(&record, perOrder[order]); len(found) > 0 {
				t.Fatalf("order %s: %+v", order, found)
			}
			delete(perOrder, order)
		}
		if len(perOrder) > 0 {
			t.Fatalf("movements without an order: %v", perOrder)
		}
	})
}

// remember keeps what a batch made of its orders, as the database does.
func remember(b *Book, c Changes) {
	for _, r := range slices.Concat(c.Inserted, c.Updated) {
		b.Records[r.Order] = r
	}
}

// checkChanges holds one batch's changes against the book before and after it.
func checkChanges(t *rapid.T, before map[string]int64, after Book, decisions []Decision, c Changes) {
	want := map[string]int64{}
	for goods, level := range after.Levels {
		if level != before[goods] {
			want[goods] = level
		}
	}
	got := map[string]int64{}
	for _, level := range c.Levels {
		got[level.Goods] = level.Available
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("changed levels (-want +got):\n%s", diff)
	}
	if !slices.IsSortedFunc(c.Movements, compareMovements) {
		t.Fatalf("movements not sorted: %+v", c.Movements)
	}
	standing := map[string]Record{}
	for _, d := range decisions {
		if d.Verdict == Applied {
			standing[d.Record.Order] = d.Record
		}
	}
	written := map[string]bool{}
	for _, r := range slices.Concat(c.Inserted, c.Updated) {
		if written[r.Order] {
			t.Fatalf("order %s written twice", r.Order)
		}
		written[r.Order] = true
		if diff := cmp.Diff(standing[r.Order], r); diff != "" {
			t.Fatalf("written record is not the standing one (-standing +written):\n%s", diff)
		}
		delete(standing, r.Order)
	}
	if len(standing) > 0 {
		t.Fatalf("applied and not written: %+v", standing)
	}
}

// TestBatchSizeDoesNotMatter: a batch decides what its requests one by one, in
// the same order, would have decided.
func TestBatchSizeDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		levels := drawLevels(t)
		reqs := drawRequests(t, "batch")
		whole := Book{Levels: maps.Clone(levels), Records: map[string]Record{}}
		got, changes := whole.Decide(reqs, noon)
		remember(&whole, changes)

		single := Book{Levels: maps.Clone(levels), Records: map[string]Record{}}
		var want []Decision
		for _, req := range reqs {
			one, changes := single.Decide([]Request{req}, noon)
			remember(&single, changes)
			want = append(want, one...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("decisions (-one by one +batch):\n%s", diff)
		}
		if diff := cmp.Diff(single, whole); diff != "" {
			t.Fatalf("book (-one by one +batch):\n%s", diff)
		}
	})
}

// TestAgainIsKnown: the deductions of a batch that was applied are answered from
// the records when the same batch comes again, and nothing is written.
func TestAgainIsKnown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		book := Book{Levels: drawLevels(t), Records: map[string]Record{}}
		reqs := slices.DeleteFunc(drawRequests(t, "batch"), func(r Request) bool { return r.Action == Release })
		first, changes := book.Decide(reqs, noon)
		remember(&book, changes)
		again, changes := book.Decide(reqs, noon.Add(time.Minute))
		for i, d := range first {
			switch d.Verdict {
			case Applied:
				d.Verdict = Known
			case UnknownGoods:
				// The same order may have come again in the batch with goods that
				// are known; then its first form is a conflict now.
				if _, known := book.Records[reqs[i].Order]; known {
					continue
				}
			}
			if diff := cmp.Diff(d, again[i]); diff != "" {
				t.Fatalf("request %d again (-want +got):\n%s", i, diff)
			}
		}
		if !changes.Empty() {
			t.Fatalf("the second run changes something: %+v", changes)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	const size, goods = 1000, 500
	reqs := make([]Request, size)
	for i := range reqs {
		reqs[i] = deductOf(fmt.Sprintf("A-%08d", i), Line{fmt.Sprint("g", i%goods), 1}, Line{fmt.Sprint("h", i*7%goods), 2})
	}
	levels := map[string]int64{}
	for i := range goods {
		levels[fmt.Sprint("g", i)], levels[fmt.Sprint("h", i)] = 1000, 1000
	}
	b.ReportAllocs()
	for b.Loop() {
		book := Book{Levels: maps.Clone(levels)}
		book.Decide(reqs, noon)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/order")
}
