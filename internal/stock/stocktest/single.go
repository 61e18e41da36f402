package stocktest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/stock"
)

func deductedWhole(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 5, "b": 2, "c": 9})
	got := w.apply(deduct("1", line("a", 3), line("b", 2)))
	w.verdicts(got, "applied deducted")
	w.stands(got[0].Record)
	w.levels(map[string]int64{"a": 2, "b": 0, "c": 9})
	w.moved("1", "a deduct -3 2", "b deduct -2 0")
}

func rejectedWhole(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 5, "b": 2, "c": 0})
	got := w.apply(deduct("1", line("a", 3), line("b", 4), line("c", 1)))
	w.verdicts(got, "applied rejected")
	w.stands(got[0].Record)
	want := []stock.Shortage{{Goods: "b", Wanted: 4, Available: 2}, {Goods: "c", Wanted: 1, Available: 0}}
	if diff := cmp.Diff(want, got[0].Record.Shortages); diff != "" {
		w.Errorf("shortages (-want +got):\n%s", diff)
	}
	w.levels(map[string]int64{"a": 5, "b": 2, "c": 0})
	w.moved("1")
}

func unknownGoods(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"b": 2})
	w.verdicts(w.apply(deduct("1", line("a", 1), line("b", 1), line("c", 1))), "unknown [a c]")
	w.levels(map[string]int64{"b": 2})
	if _, err := w.ledger.Lookup(w.ctx(), "1"); !errors.Is(err, stock.ErrNotFound) {
		w.Errorf("look up an order with unknown goods: %v, want ErrNotFound", err)
	}
	w.stocked(map[string]int64{"a": 1, "c": 1})
	w.verdicts(w.apply(deduct("1", line("a", 1), line("b", 1), line("c", 1))), "applied deducted")
}

func duplicate(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 5, "b": 0})
	first := w.apply(deduct("1", line("a", 3)), deduct("2", line("b", 1)))
	w.stocked(map[string]int64{"b": 9}) // too late for order 2
	again := w.apply(deduct("1", line("a", 3)), deduct("2", line("b", 1)))
	w.verdicts(again, "known deducted", "known rejected")
	for i := range first {
		if diff := cmp.Diff(first[i].Record, again[i].Record); diff != "" {
			w.Errorf("record (-first +again):\n%s", diff)
		}
	}
	w.levels(map[string]int64{"a": 2, "b": 9})
}

func conflict(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 5, "b": 5})
	first := w.apply(deduct("1", line("a", 3)))
	got := w.apply(deduct("1", line("a", 2)), deduct("1", line("b", 3)), deduct("1", line("a", 3), line("b", 1)))
	w.verdicts(got, "conflict deducted", "conflict deducted", "conflict deducted")
	w.stands(first[0].Record)
	w.levels(map[string]int64{"a": 2, "b": 5})
}

func released(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 5, "b": 1})
	w.apply(deduct("1", line("a", 3), line("b", 1)))
	w.apply(deduct("2", line("a", 3)))
	got := w.apply(release("1"), release("2"))
	w.verdicts(got, "applied released", "known rejected")
	w.stands(got[0].Record)
	w.levels(map[string]int64{"a": 5, "b": 1})
	w.moved("1", "a deduct -3 2", "a release +3 5", "b deduct -1 0", "b release +1 1")
	again := w.apply(release("1"), deduct("1", line("a", 3), line("b", 1)), deduct("1", line("a", 4)))
	w.verdicts(again, "known released", "known released", "conflict released")
	w.levels(map[string]int64{"a": 5, "b": 1})
}

func voided(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 5})
	got := w.apply(release("1"))
	w.verdicts(got, "applied voided")
	w.stands(got[0].Record)
	w.verdicts(w.apply(deduct("1", line("a", 3)), release("1"), deduct("1", line("nowhere", 3))),
		"known voided", "known voided", "known voided")
	w.levels(map[string]int64{"a": 5})
	w.moved("1")
}

func batchSeesItself(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 3})
	got := w.apply(
		deduct("z", line("a", 2)),
		deduct("y", line("a", 2)),
		deduct("x", line("a", 1)),
		deduct("z", line("a", 2)),
		deduct("z", line("a", 1)),
		release("z"),
		deduct("w", line("a", 2)),
		release("z"),
		release("v"),
		deduct("v", line("a", 1)),
	)
	w.verdicts(got, "applied deducted", "applied rejected", "applied deducted", "known deducted",
		"conflict deducted", "applied released", "applied deducted", "known released",
		"applied voided", "known voided")
	w.levels(map[string]int64{"a": 0})
	w.stands(got[5].Record)
	w.moved("z", "a deduct -2 1", "a release +2 2")
	w.moved("w", "a deduct -2 0")
}

func mixedBatch(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 10, "b": 10})
	w.apply(deduct("1", line("a", 4)), deduct("2", line("b", 4)), release("3"))
	got := w.apply(release("1"), deduct("2", line("b", 4)), deduct("3", line("a", 1)), deduct("4", line("a", 10)), release("2"))
	w.verdicts(got, "applied released", "known deducted", "known voided", "applied deducted", "applied released")
	w.levels(map[string]int64{"a": 0, "b": 10})
}

func invalidRequest(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 5})
	for _, bad := range []stock.Request{
		deduct("", line("a", 1)),
		deduct("2"),
		deduct("2", line("a", 1), line("a", 1)),
		deduct("2", line("a", -1)),
		deduct(strings.Repeat("x", stock.MaxIDBytes+1), line("a", 1)),
		{Order: "2"},
	} {
		_, err := w.ledger.Apply(w.ctx(), []stock.Request{deduct("1", line("a", 1)), bad})
		if !errors.Is(err, stock.ErrInvalid) {
			w.Errorf("apply %+v: %v, want ErrInvalid", bad, err)
		}
	}
	w.levels(map[string]int64{"a": 5})
}

// oddIDs are ids a database might take for each other, or for SQL.
func oddIDs(_ *testing.T, w *world) {
	ids := []string{
		"a", "A", "a ", " a", "a\t", "a\x00", "\x00", "a\n", "'", "''", "\\", "\\'", "\"", "%", "_", "?", "@a", "--", ";",
		"\u00e4", "a\u0308", "\u00c4", "\U0001f600", "\U0001f601", "stra\u00dfe", "strasse", "0x61", "1", "01", "1.0", "+1", "NULL", "{\"a\":1}",
		strings.Repeat("x", stock.MaxIDBytes), strings.Repeat("x", stock.MaxIDBytes-1), strings.Repeat("\u00e9", stock.MaxIDBytes/2),
	}
	for i, id := range ids {
		w.stocked(map[string]int64{id: int64(i + 1)})
	}
	reqs := make([]stock.Request, 0, len(ids))
	want := make(map[string]int64, len(ids))
	for _, id := range ids {
		reqs = append(reqs, deduct(id, line(id, 1)))
	}
	for i, d := range w.apply(reqs...) {
		if got := verdictOf(d); got != "applied deducted" {
			w.Fatalf("order %q: %s", ids[i], got)
		}
		w.stands(d.Record)
		want[ids[i]] = int64(i)
	}
	w.levels(want)
	records, err := w.ledger.Records(w.ctx(), ids)
	if err != nil || len(records) != len(ids) {
		w.Fatalf("read %d of %d records: %v", len(records), len(ids), err)
	}
	levels, err := w.ledger.Levels(w.ctx(), ids)
	if err != nil || len(levels) != len(ids) {
		w.Fatalf("read %d of %d levels: %v", len(levels), len(ids), err)
	}
}

func times(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 5})
	before := time.Now()
	got := w.apply(deduct("1", line("a", 1)))[0].Record
	back := w.apply(release("1"))[0].Record
	after := time.Now()
	for what, at := range map[string]time.Time{"decided": got.DecidedAt, "released": back.ReleasedAt} {
		if at.Location() != time.UTC || !at.Equal(at.Truncate(time.Millisecond)) {
			w.Errorf("%s at %v, want UTC in whole milliseconds", what, at)
		}
		if at.Before(before.Truncate(time.Millisecond)) || at.After(after) {
			w.Errorf("%s at %v, outside %v to %v", what, at, before, after)
		}
	}
	if !got.ReleasedAt.IsZero() || !back.DecidedAt.Equal(got.DecidedAt) {
		w.Errorf("decided %v, then released %v, decided %v", got.ReleasedAt, back.ReleasedAt, back.DecidedAt)
	}
	w.stands(back)
}

func emptyBatch(_ *testing.T, w *world) {
	if got := w.apply(); len(got) != 0 {
		w.Errorf("decisions on nothing: %v", got)
	}
}

func cancelled(_ *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 5})
	ctx, cancel := context.WithCancel(w.ctx())
	cancel()
	if _, err := w.ledger.Apply(ctx, []stock.Request{deduct("1", line("a", 1))}); !errors.Is(err, context.Canceled) {
		w.Errorf("apply with a cancelled context: %v", err)
	}
	w.levels(map[string]int64{"a": 5})
}

// goodsName keeps byte order the order of numbers.
func goodsName(i int) string { return fmt.Sprintf("goods-%06d", i) }
