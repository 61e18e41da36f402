package stocktest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/stock"
)

func sortLines(lines []stock.Line) {
	slices.SortFunc(lines, func(a, b stock.Line) int { return strings.Compare(a.Goods, b.Goods) })
}

// adjust applies an adjustment and compares the answers, as "goods before
// after", with + for created and = for repeated.
func (w *world) adjust(a stock.Adjustment, want ...string) {
	w.Helper()
	answers, err := w.ledger.Adjust(w.ctx(), a)
	if err != nil {
		w.Fatalf("adjust %s: %v", a.Ref, err)
	}
	var got []string
	for _, answer := range answers {
		text := fmt.Sprint(answer.Goods, " ", answer.Before, " ", answer.After)
		if answer.Created {
			text += " +"
		}
		if answer.Repeated {
			text += " ="
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Fatalf("answers to %s (-want +got):\n%s", a.Ref, diff)
	}
}

func adjustments(_ *testing.T, w *world) {
	w.adjust(stock.Adjustment{Ref: "1", Mode: stock.Add, Lines: []stock.Line{line("a", 5), line("b", 7)}}, "a 0 5 +", "b 0 7 +")
	w.adjust(stock.Adjustment{Ref: "2", Mode: stock.Add, Lines: []stock.Line{line("a", 3), line("c", 1)}}, "a 5 8", "c 0 1 +")
	w.adjust(stock.Adjustment{Ref: "3", Mode: stock.Set, Lines: []stock.Line{line("a", 2), line("b", 7), line("d", 0)}}, "a 8 2", "b 7 7", "d 0 0 +")
	w.levels(map[string]int64{"a": 2, "b": 7, "c": 1, "d": 0})
	w.moved("1", "a restock +5 5", "b restock +7 7")
	w.moved("3", "a correct -6 2", "b correct +0 7", "d correct +0 0")
	// A level of nothing is in the catalogue: short, not unknown.
	w.verdicts(w.apply(deduct("o", line("d", 1))), "applied rejected")
}

func adjustmentAgain(_ *testing.T, w *world) {
	w.adjust(stock.Adjustment{Ref: "set", Mode: stock.Set, Lines: []stock.Line{line("a", 5)}}, "a 0 5 +")
	w.adjust(stock.Adjustment{Ref: "same", Mode: stock.Set, Lines: []stock.Line{line("a", 5)}}, "a 5 5")
	w.adjust(stock.Adjustment{Ref: "add", Mode: stock.Add, Lines: []stock.Line{line("a", 5)}}, "a 5 10")
	w.apply(deduct("1", line("a", 4)))
	w.adjust(stock.Adjustment{Ref: "set", Mode: stock.Set, Lines: []stock.Line{line("a", 5)}}, "a 6 6 =")
	w.adjust(stock.Adjustment{Ref: "same", Mode: stock.Set, Lines: []stock.Line{line("a", 5)}}, "a 6 6 =")
	w.adjust(stock.Adjustment{Ref: "add", Mode: stock.Add, Lines: []stock.Line{line("a", 5), line("b", 1)}}, "a 6 6 =", "b 0 1 +")
	for _, other := range []stock.Adjustment{
		{Ref: "add", Mode: stock.Add, Lines: []stock.Line{line("a", 6)}},
		{Ref: "add", Mode: stock.Set, Lines: []stock.Line{line("a", 10)}},
		{Ref: "set", Mode: stock.Set, Lines: []stock.Line{line("a", 6)}},
	} {
		if _, err := w.ledger.Adjust(w.ctx(), other); !errors.Is(err, stock.ErrInvalid) {
			w.Fatalf("%+v after another content under the same reference: %v", other, err)
		}
	}
	// An order may bear the same name as an adjustment.
	w.verdicts(w.apply(deduct("add", line("a", 1))), "applied deducted")
	w.levels(map[string]int64{"a": 5, "b": 1})
}

func adjustmentRefused(_ *testing.T, w *world) {
	w.adjust(stock.Adjustment{Ref: "1", Mode: stock.Set, Lines: []stock.Line{line("a", stock.MaxAvailable), line("b", 1)}},
		fmt.Sprint("a 0 ", int64(stock.MaxAvailable), " +"), "b 0 1 +")
	for _, bad := range []stock.Adjustment{
		{Ref: "2", Mode: stock.Add, Lines: []stock.Line{line("a", 1), line("b", 1)}},
		{Ref: "3", Mode: stock.Set, Lines: []stock.Line{line("b", stock.MaxAvailable+1)}},
		{Ref: "4", Mode: stock.Set, Lines: []stock.Line{line("b", -1)}},
		{Ref: "5", Mode: stock.Add, Lines: []stock.Line{line("b", 0)}},
	} {
		if _, err := w.ledger.Adjust(w.ctx(), bad); !errors.Is(err, stock.ErrInvalid) {
			w.Errorf("adjust %+v: %v, want ErrInvalid", bad, err)
		}
		w.moved(bad.Ref)
	}
	w.levels(map[string]int64{"a": stock.MaxAvailable, "b": 1})
}

// versions: each transaction that changes a level raises its version by one,
// however many orders did, and nothing else does.
func versions(_ *testing.T, w *world) {
	want := func(when string, versions map[string]int64) {
		w.Helper()
		got := make(map[string]int64)
		levels, err := w.ledger.Levels(w.ctx(), []string{"a", "b"})
		if err != nil {
			w.Fatal(err)
		}
		for goods, level := range levels {
			got[goods] = level.Version
		}
		if diff := cmp.Diff(versions, got); diff != "" {
			w.Errorf("versions %s (-want +got):\n%s", when, diff)
		}
	}
	w.stocked(map[string]int64{"a": 9, "b": 9})
	want("of new goods", map[string]int64{"a": 1, "b": 1})
	w.apply(deduct("1", line("a", 1)), deduct("2", line("a", 1), line("b", 1)))
	want("after a batch", map[string]int64{"a": 2, "b": 2})
	w.apply(deduct("1", line("a", 1)), deduct("3", line("a", 100)))
	want("after a duplicate and a rejection", map[string]int64{"a": 2, "b": 2})
	w.apply(release("1"))
	want("after a release", map[string]int64{"a": 3, "b": 2})
	w.adjust(stock.Adjustment{Ref: "count", Mode: stock.Set, Lines: []stock.Line{line("a", 8), line("b", 3)}}, "a 8 8", "b 8 3")
	want("after a count", map[string]int64{"a": 3, "b": 3})
	w.adjust(stock.Adjustment{Ref: "in", Mode: stock.Add, Lines: []stock.Line{line("a", 1)}}, "a 8 9")
	want("after a restock", map[string]int64{"a": 4, "b": 3})
}

func listing(_ *testing.T, w *world) {
	padded := "a" + " " // another goods than a
	w.stocked(map[string]int64{"b": 2, "a": 1, "B": 3, padded: 4, "\u00e4": 5})
	var got []string
	after := ""
	for range 4 { // one more page than there are
		page, err := w.ledger.List(w.ctx(), after, 2)
		if err != nil {
			w.Fatal(err)
		}
		for _, level := range page {
			got = append(got, fmt.Sprintf("%s=%d", level.Goods, level.Available))
			after = level.Goods
			if level.UpdatedAt.IsZero() {
				w.Errorf("level of %q was never updated", level.Goods)
			}
		}
		if len(page) < 2 {
			break
		}
	}
	if diff := cmp.Diff([]string{"B=3", "a=1", "a =4", "b=2", "\u00e4=5"}, got); diff != "" {
		w.Errorf("list (-want +got):\n%s", diff)
	}
}

func notFound(_ *testing.T, w *world) {
	if _, err := w.ledger.Lookup(w.ctx(), "nobody"); !errors.Is(err, stock.ErrNotFound) {
		w.Errorf("look up: %v, want ErrNotFound", err)
	}
	if _, err := w.ledger.Get(w.ctx(), "nothing"); !errors.Is(err, stock.ErrNotFound) {
		w.Errorf("get: %v, want ErrNotFound", err)
	}
	records, err := w.ledger.Records(w.ctx(), []string{"nobody"})
	if err != nil || len(records) != 0 {
		w.Errorf("records: %v, %v", records, err)
	}
	levels, err := w.ledger.Levels(w.ctx(), []string{"nothing"})
	if err != nil || len(levels) != 0 {
		w.Errorf("levels: %v, %v", levels, err)
	}
	w.moved("nobody")
}
