package stock

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func deductOf(order string, lines ...Line) Request {
	return Request{Order: order, Action: Deduct, Lines: lines, Origin: Origin{Topic: "orders", Partition: 1, Offset: 7}, Attempt: 1}
}

func releaseOf(order string) Request {
	return Request{Order: order, Action: Release, Origin: Origin{Topic: "orders", Partition: 1, Offset: 8}, Attempt: 2}
}

func recordOf(order string, state State, lines ...Line) Record {
	return Record{Order: order, State: state, Lines: lines, Origin: Origin{Topic: "orders", Partition: 1, Offset: 7}, Attempts: 1, DecidedAt: noon}
}

func moved(ref, goods string, kind Kind, delta, balance int64) Movement {
	return Movement{Ref: ref, Goods: goods, Kind: kind, Delta: delta, Balance: balance, At: noon}
}

// levelOf is a level that was read at version 7 and changed, newLevelOf one of
// goods that were not there before.
func levelOf(goods string, available int64) Level {
	return Level{Goods: goods, Available: available, UpdatedAt: noon, Version: 8}
}

func newLevelOf(goods string, available int64) Level {
	return Level{Goods: goods, Available: available, UpdatedAt: noon, Version: 1}
}

// versionsOf reads all levels at version 7.
func versionsOf(levels map[string]int64) map[string]int64 {
	versions := make(map[string]int64, len(levels))
	for goods := range levels {
		versions[goods] = 7
	}
	return versions
}

func TestDecide(t *testing.T) {
	t.Parallel()
	two := []Line{{"a", 1}, {"b", 2}}
	rejected := recordOf("1", Rejected, two...)
	rejected.Shortages = []Shortage{{"b", 2, 1}}
	released := recordOf("1", Released, two...)
	released.ReleasedAt = noon
	voided := recordOf("1", Voided)
	voided.Origin, voided.Attempts = Origin{"orders", 1, 8}, 2

	cases := []struct {
		name    string
		levels  map[string]int64
		records []Record
		reqs    []Request
		want    []Decision
		changes Changes
	}{
		{
			name:   "an order whose lines are all there is deducted",
			levels: map[string]int64{"a": 1, "b": 5, "c": 9},
			reqs:   []Request{deductOf("1", two...)},
			want:   []Decision{{Verdict: Applied, Record: recordOf("1", Deducted, two...)}},
			changes: Changes{
				Inserted:  []Record{recordOf("1", Deducted, two...)},
				Movements: []Movement{moved("1", "a", KindDeduct, -1, 0), moved("1", "b", KindDeduct, -2, 3)},
				Levels:    []Level{levelOf("a", 0), levelOf("b", 3)},
			},
		},
		{
			name:    "an order that is short of one goods takes nothing and is rejected",
			levels:  map[string]int64{"a": 1, "b": 1},
			reqs:    []Request{deductOf("1", two...)},
			want:    []Decision{{Verdict: Applied, Record: rejected}},
			changes: Changes{Inserted: []Record{rejected}},
		},
		{
			name:   "an order with goods outside the catalogue leaves nothing behind",
			levels: map[string]int64{"b": 0},
			reqs:   []Request{deductOf("1", Line{"a", 1}, Line{"b", 2}, Line{"c", 3})},
			want:   []Decision{{Verdict: UnknownGoods, Unknown: []string{"a", "c"}}},
		},
		{
			name:    "a known order with the same lines is answered from its record",
			levels:  map[string]int64{"a": 9, "b": 9},
			records: []Record{recordOf("1", Deducted, two...)},
			reqs:    []Request{deductOf("1", two...)},
			want:    []Decision{{Verdict: Known, Record: recordOf("1", Deducted, two...)}},
		},
		{
			name:    "a known order with other lines is a conflict",
			levels:  map[string]int64{"a": 9, "b": 9},
			records: []Record{rejected},
			reqs:    []Request{deductOf("1", Line{"a", 1})},
			want:    []Decision{{Verdict: Conflict, Record: rejected}},
		},
		{
			name:    "an order cancelled before it came deducts nothing",
			levels:  map[string]int64{"a": 9, "b": 9},
			records: []Record{voided},
			reqs:    []Request{deductOf("1", two...), releaseOf("1")},
			want:    []Decision{{Verdict: Known, Record: voided}, {Verdict: Known, Record: voided}},
		},
		{
			name:    "a cancellation of an order that never came leaves a tombstone",
			levels:  map[string]int64{},
			reqs:    []Request{releaseOf("1")},
			want:    []Decision{{Verdict: Applied, Record: voided}},
			changes: Changes{Inserted: []Record{voided}},
		},
		{
			name:    "a deducted order is given back whole",
			levels:  map[string]int64{"a": 0, "b": 3},
			records: []Record{recordOf("1", Deducted, two...)},
			reqs:    []Request{releaseOf("1")},
			want:    []Decision{{Verdict: Applied, Record: released}},
			changes: Changes{
				Updated:   []Record{released},
				Movements: []Movement{moved("1", "a", KindRelease, 1, 1), moved("1", "b", KindRelease, 2, 5)},
				Levels:    []Level{levelOf("a", 1), levelOf("b", 5)},
			},
		},
		{
			name:    "a released or rejected order is not given back again",
			levels:  map[string]int64{"a": 1, "b": 5},
			records: []Record{released, recordOf("2", Rejected, two...)},
			reqs:    []Request{releaseOf("1"), releaseOf("2")},
			want:    []Decision{{Verdict: Known, Record: released}, {Verdict: Known, Record: recordOf("2", Rejected, two...)}},
		},
		{
			name:    "a release whose goods are gone from the catalogue changes nothing",
			levels:  map[string]int64{"a": 1},
			records: []Record{recordOf("1", Deducted, two...)},
			reqs:    []Request{releaseOf("1")},
			want:    []Decision{{Verdict: UnknownGoods, Unknown: []string{"b"}}},
		},
		{
			name:   "create, duplicate, conflict and cancel of one order in one batch",
			levels: map[string]int64{"a": 1, "b": 5},
			reqs:   []Request{deductOf("1", two...), deductOf("1", two...), deductOf("1", Line{"a", 1}), releaseOf("1"), releaseOf("1")},
			want: []Decision{
				{Verdict: Applied, Record: recordOf("1", Deducted, two...)},
				{Verdict: Known, Record: recordOf("1", Deducted, two...)},
				{Verdict: Conflict, Record: recordOf("1", Deducted, two...)},
				{Verdict: Applied, Record: released},
				{Verdict: Known, Record: released},
			},
			changes: Changes{
				Inserted: []Record{released},
				Movements: []Movement{
					moved("1", "a", KindDeduct, -1, 0), moved("1", "a", KindRelease, 1, 1),
					moved("1", "b", KindDeduct, -2, 3), moved("1", "b", KindRelease, 2, 5),
				},
			},
		},
		{
			name:    "what one order gives back the next one may take",
			levels:  map[string]int64{"a": 0, "b": 0},
			records: []Record{recordOf("1", Deducted, two...)},
			reqs:    []Request{releaseOf("1"), deductOf("2", two...)},
			want:    []Decision{{Verdict: Applied, Record: released}, {Verdict: Applied, Record: recordOf("2", Deducted, two...)}},
			changes: Changes{
				Inserted: []Record{recordOf("2", Deducted, two...)},
				Updated:  []Record{released},
				Movements: []Movement{
					moved("1", "a", KindRelease, 1, 1), moved("1", "b", KindRelease, 2, 2),
					moved("2", "a", KindDeduct, -1, 0), moved("2", "b", KindDeduct, -2, 0),
				},
			},
		},
		{
			name:   "first come, first served, and the small order after a short one still goes",
			levels: map[string]int64{"a": 3},
			reqs:   []Request{deductOf("9", Line{"a", 2}), deductOf("5", Line{"a", 2}), deductOf("1", Line{"a", 1})},
			want: []Decision{
				{Verdict: Applied, Record: recordOf("9", Deducted, Line{"a", 2})},
				{Verdict: Applied, Record: func() Record {
					r := recordOf("5", Rejected, Line{"a", 2})
					r.Shortages = []Shortage{{"a", 2, 1}}
					return r
				}()},
				{Verdict: Applied, Record: recordOf("1", Deducted, Line{"a", 1})},
			},
			changes: Changes{
				Inserted: []Record{
					recordOf("1", Deducted, Line{"a", 1}),
					func() Record {
						r := recordOf("5", Rejected, Line{"a", 2})
						r.Shortages = []Shortage{{"a", 2, 1}}
						return r
					}(),
					recordOf("9", Deducted, Line{"a", 2}),
				},
				Movements: []Movement{moved("1", "a", KindDeduct, -1, 0), moved("9", "a", KindDeduct, -2, 1)},
				Levels:    []Level{levelOf("a", 0)},
			},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			book := Book{Levels: c.levels, Versions: versionsOf(c.levels), Records: map[string]Record{}}
			for _, r := range c.records {
				book.Records[r.Order] = r
			}
			got, changes := book.Decide(c.reqs, noon.Add(999*time.Microsecond))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("decisions (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.changes, changes); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAdjust(t *testing.T) {
	t.Parallel()

	t.Run("add lifts what is there and creates what is not", func(t *testing.T) {
		t.Parallel()
		book := Book{Levels: map[string]int64{"a": 2}, Versions: map[string]int64{"a": 7}}
		answers, changes, err := book.Adjust(&Adjustment{Ref: "r", Mode: Add, Lines: []Line{{"a", 3}, {"b", 4}}}, nil, noon)
		if err != nil {
			t.Fatal(err)
		}
		want := Changes{
			Movements: []Movement{moved("r", "a", KindRestock, 3, 5), moved("r", "b", KindRestock, 4, 4)},
			Created:   []Level{newLevelOf("b", 4)},
			Levels:    []Level{levelOf("a", 5)},
		}
		if diff := cmp.Diff(want, changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		wantAnswers := []Adjusted{{Goods: "a", Before: 2, After: 5}, {Goods: "b", After: 4, Created: true}}
		if diff := cmp.Diff(wantAnswers, answers); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})

	t.Run("set moves by the difference and records a count that was right", func(t *testing.T) {
		t.Parallel()
		book := Book{Levels: map[string]int64{"a": 5, "b": 4}, Versions: map[string]int64{"a": 7, "b": 7}}
		_, changes, err := book.Adjust(&Adjustment{Ref: "r", Mode: Set, Lines: []Line{{"a", 2}, {"b", 4}, {"c", 0}}}, nil, noon)
		if err != nil {
			t.Fatal(err)
		}
		want := Changes{
			Movements: []Movement{moved("r", "a", KindCorrect, -3, 2), moved("r", "b", KindCorrect, 0, 4), moved("r", "c", KindCorrect, 0, 0)},
			Created:   []Level{newLevelOf("c", 0)},
			Levels:    []Level{levelOf("a", 2)},
		}
		if diff := cmp.Diff(want, changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})

	t.Run("a line applied before is left alone", func(t *testing.T) {
		t.Parallel()
		book := Book{Levels: map[string]int64{"a": 5}}
		answers, changes, err := book.Adjust(&Adjustment{Ref: "r", Mode: Add, Lines: []Line{{"a", 2}}}, map[string]Movement{"a": {Kind: KindRestock, Delta: 2, Balance: 7}}, noon)
		if err != nil {
			t.Fatal(err)
		}
		if !changes.Empty() {
			t.Errorf("changes = %+v, want none", changes)
		}
		if want := []Adjusted{{Goods: "a", Before: 5, After: 5, Repeated: true}}; !cmp.Equal(want, answers) {
			t.Errorf("answers = %+v, want %+v", answers, want)
		}
	})

	t.Run("a level past the limit refuses the whole adjustment", func(t *testing.T) {
		t.Parallel()
		book := Book{Levels: map[string]int64{"a": 1, "b": MaxAvailable}}
		_, changes, err := book.Adjust(&Adjustment{Ref: "r", Mode: Add, Lines: []Line{{"a", 1}, {"b", 1}}}, nil, noon)
		wantInvalid(t, err)
		if !changes.Empty() {
			t.Errorf("changes = %+v, want none", changes)
		}
	})
}
