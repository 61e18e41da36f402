package replay

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/stocktest"
)

// logInMemory is a log with any number of partitions of one topic.
type logInMemory map[int][]order.Message

const topic = "orders"

var began = time.Date(2026, time.November, 23, 1, 2, 3, 0, time.UTC)

// Scan implements Reader.
func (l logInMemory) Scan(_ context.Context, r Range, visit func(order.Message) error) error {
	for _, m := range l[r.Partition] {
		if m.Offset < r.From || m.Offset >= r.To {
			continue
		}
		if err := visit(m); err != nil {
			return err
		}
	}
	return nil
}

// add appends a message.
func (l logInMemory) add(partition int, at time.Duration, e order.Event, headers ...order.Header) {
	l[partition] = append(l[partition], order.Message{
		Topic: topic, Partition: partition, Offset: int64(len(l[partition])), Time: began.Add(at),
		Key: []byte(e.OrderID), Value: order.AppendEvent(nil, e), Headers: headers,
	})
}

// ranges are all of it.
func (l logInMemory) ranges() []Range {
	var all []Range
	for id, messages := range l {
		all = append(all, Range{Topic: topic, Partition: id, To: int64(len(messages))})
	}
	return all
}

func created(id string, lines ...stock.Line) order.Event {
	return order.Event{ID: "e-" + id, Type: order.Created, OrderID: id, Lines: lines}
}

func cancelled(id string) order.Event {
	return order.Event{ID: "c-" + id, Type: order.Cancelled, OrderID: id}
}

func line(goods string, num int64) stock.Line { return stock.Line{Goods: goods, Num: num} }

// stocked is a ledger with levels.
func stocked(t rapid.TB, levels map[string]int64) *stocktest.Model {
	t.Helper()
	m := stocktest.NewModel()
	for goods, num := range levels {
		_, err := m.Adjust(context.Background(), stock.Adjustment{Ref: "first-" + goods, Mode: stock.Set, Lines: []stock.Line{line(goods, num)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func rules() Rules {
	return Rules{MaxReplays: 3, Now: func() time.Time { return began.Add(time.Hour) }}
}

// planned is the plan of all messages, and each of its steps.
func planned(t rapid.TB, l logInMemory, m *stocktest.Model, change ...func(*Planner)) (*Plan, []Step) {
	t.Helper()
	var steps []Step
	p := Planner{Source: NewSource(l, l.ranges()), Rules: rules(), View: m,
		Visit: func(s *Step) error { steps = append(steps, *s); return nil }}
	for _, c := range change {
		c(&p)
	}
	plan, err := p.Plan(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return plan, steps
}

// classesOf are the classes of the steps by order of the source.
func classesOf(steps []Step) []Class {
	var list []Class
	for _, s := range steps {
		list = append(list, s.Class)
	}
	return list
}

func TestPlanNamesWhatBecomesOfEachMessage(t *testing.T) {
	t.Parallel()
	m := stocked(t, map[string]int64{"apple": 10, "pear": 2})
	apply(t, m, created("old", line("apple", 2)), created("gone", line("pear", 9)), created("back", line("apple", 1)), cancelled("back"))
	l := logInMemory{}
	want := []Class{}
	next := func(class Class, e order.Event, headers ...order.Header) {
		l.add(0, time.Duration(len(want))*time.Second, e, headers...)
		want = append(want, class)
	}
	next(AlreadyApplied, created("old", line("apple", 2)))
	next(AlreadyRejected, created("gone", line("pear", 9)))
	next(AlreadyApplied, created("back", line("apple", 1)))
	next(AlreadyApplied, cancelled("back"))
	next(Conflict, created("old", line("apple", 3)))
	next(WillDeduct, created("new", line("apple", 3), line("pear", 1)))
	next(Repeated, created("new", line("apple", 3), line("pear", 1)))
	next(Conflict, created("new", line("apple", 3)))
	next(WillReject, created("short", line("apple", 9), line("pear", 1)))
	next(WillRelease, cancelled("old"))
	next(Repeated, cancelled("old"))
	next(WillVoid, cancelled("early"))
	next(Repeated, created("early", line("apple", 1)))
	next(GoodsUnknown, created("strange", line("plum", 1)))
	next(HeldBack, cancelled("strange"))
	next(Exhausted, created("again", line("apple", 1)), order.Header{Key: order.HeaderReplayCount, Value: []byte("3")})
	next(WillDeduct, created("twice", line("apple", 1)), order.Header{Key: order.HeaderReplayCount, Value: []byte("2")})
	next(Incomplete, created("half", line("apple", 1)), order.Header{Key: order.HeaderTruncated, Value: []byte("3000000")})
	l[0] = append(l[0], order.Message{Topic: topic, Offset: int64(len(want)), Time: began.Add(time.Hour), Value: []byte("{")})
	want = append(want, Undecodable)

	plan, steps := planned(t, l, m)
	if diff := cmp.Diff(want, classesOf(steps)); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
	if got := steps[8].Detail; got != "short of apple by 4" {
		t.Errorf("detail of the rejected order: %q", got)
	}
	if diff := cmp.Diff([]GoodsChange{
		{GoodsID: "apple", Before: 8, After: 6, Deducted: 4, Released: 2, Orders: 3, Contested: true},
		{GoodsID: "pear", Before: 2, After: 1, Deducted: 1, Orders: 1},
	}, plan.Goods); diff != "" {
		t.Errorf("goods (-want +got):\n%s", diff)
	}
	if plan.NoEffect() || plan.Selected != int64(len(want)) || plan.Contested != 1 {
		t.Errorf("plan: %+v", plan)
	}
}

// apply has the ledger apply events one by one.
func apply(t rapid.TB, m *stocktest.Model, events ...order.Event) {
	t.Helper()
	for _, e := range events {
		request := stock.Request{Order: e.OrderID, Action: stock.Deduct, Lines: e.Lines, Origin: stock.Origin{Topic: topic}, Attempt: 1}
		if e.Type == order.Cancelled {
			request.Action, request.Lines = stock.Release, nil
		}
		if _, err := m.Apply(context.Background(), []stock.Request{request}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlanIsWhatHappens draws a log and what of it the ledger has seen, and has
// what the plan would publish applied: every level comes out as it was named.
func TestPlanIsWhatHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		levels := map[string]int64{"apple": 5, "pear": 20, "fig": 0}
		m := stocked(t, levels)
		l := logInMemory{}
		var all []order.Event
		at := time.Duration(0)
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			n := rapid.IntRange(0, 20).Draw(t, "order")
			id := fmt.Sprint("A-", n)
			e := cancelled(id)
			if rapid.IntRange(0, 3).Draw(t, "cancel") > 0 {
				goods := rapid.SampledFrom([]string{"apple", "fig", "pear", "unknown"}).Draw(t, "goods")
				e = created(id, line(goods, int64(rapid.IntRange(1, 3).Draw(t, "num"))))
			}
			at += time.Duration(rapid.IntRange(0, 2).Draw(t, "later")) * time.Second
			l.add(n%3, at, e)
			all = append(all, e)
		}
		apply(t, m, all[:rapid.IntRange(0, len(all)).Draw(t, "applied")]...)
		changesOnly := rapid.Bool().Draw(t, "changes only")
		plan, steps := planned(t, l, m, func(p *Planner) { p.Rules.ChangesOnly = changesOnly })
		for i := range steps {
			if steps[i].Class.Published() {
				apply(t, m, steps[i].Event)
			}
		}
		want := make(map[string]int64)
		for _, g := range plan.Goods {
			want[g.GoodsID] = g.After
		}
		for goods := range levels {
			level, err := m.Get(context.Background(), goods)
			if err != nil {
				t.Fatal(err)
			}
			if after, named := want[goods]; named && after != level.Available {
				t.Fatalf("%s came to %d, the plan said %d", goods, level.Available, after)
			}
		}
		again, _ := planned(t, l, m)
		if !again.NoEffect() && plan.Count(HeldBack)+plan.Count(GoodsUnknown) == 0 {
			t.Fatalf("replayed and still not level: %+v", again)
		}
	})
}

// TestUncontestedGoodsComeOutWhateverTheOrder plays the published messages with
// the partitions against one another: what was not contested is as it was named.
func TestUncontestedGoodsComeOutWhateverTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := stocked(t, map[string]int64{"apple": 40, "pear": 40})
		l := logInMemory{}
		for i := range rapid.IntRange(0, 40).Draw(t, "events") {
			n := rapid.IntRange(0, 20).Draw(t, "order")
			e := cancelled(fmt.Sprint("A-", n))
			if rapid.IntRange(0, 3).Draw(t, "cancel") > 0 {
				e = created(fmt.Sprint("A-", n), line([]string{"apple", "pear"}[n%2], int64(1+n%5)))
			}
			l.add(n%3, time.Duration(i)*time.Second, e)
		}
		plan, steps := planned(t, l, m)
		if plan.Contested > 0 {
			return
		}
		byPartition := make([][]order.Event, 3)
		for i := range steps {
			id := steps[i].Message.Partition
			byPartition[id] = append(byPartition[id], steps[i].Event)
		}
		for len(slices.Concat(byPartition...)) > 0 {
			id := rapid.IntRange(0, 2).Draw(t, "partition")
			if len(byPartition[id]) > 0 {
				apply(t, m, byPartition[id][0])
				byPartition[id] = byPartition[id][1:]
			}
		}
		for _, g := range plan.Goods {
			level, err := m.Get(context.Background(), g.GoodsID)
			if err != nil || level.Available != g.After {
				t.Fatalf("%s came to %d, %v; the plan said %d", g.GoodsID, level.Available, err, g.After)
			}
		}
	})
}

func TestLimitEndsThePlanBehindTheLastMessageThatIsPublished(t *testing.T) {
	t.Parallel()
	m := stocked(t, map[string]int64{"apple": 100})
	l := logInMemory{}
	for i := range 10 {
		l.add(i%2, time.Duration(i)*time.Second, created(fmt.Sprint("A-", i), line("apple", 1)))
	}
	plan, steps := planned(t, l, m, func(p *Planner) { p.Rules.Limit = 4 })
	if plan.Publish != 4 || len(steps) != 4 || plan.Goods[0].After != 96 || steps[3].Event.OrderID != "A-3" {
		t.Errorf("plan %+v, %d steps", plan, len(steps))
	}
}

func TestFilterChoosesMessages(t *testing.T) {
	t.Parallel()
	m := stocked(t, map[string]int64{"apple": 100, "pear": 100})
	apply(t, m, created("A-1", line("apple", 1)))
	l := logInMemory{}
	l.add(0, 1, created("A-1", line("apple", 1)))
	l.add(0, 2, cancelled("A-1"))
	l.add(0, 3, created("A-2", line("pear", 1)), order.Header{Key: order.HeaderErrorCode, Value: []byte("conflict")})
	l.add(0, 4, cancelled("A-2"))
	for _, tt := range []struct {
		name   string
		filter Filter
		want   []int64
	}{
		{"all", Filter{}, []int64{0, 1, 2, 3}},
		{"an order", Filter{Orders: []string{"A-2"}}, []int64{2, 3}},
		{"a type", Filter{Types: []string{"order.created"}}, []int64{0, 2}},
		{"goods, and the cancels of orders that have them", Filter{Goods: []string{"apple"}}, []int64{0, 1}},
		{"goods of an order that the simulation has made", Filter{Goods: []string{"pear"}}, []int64{2, 3}},
		{"a code", Filter{Headers: []HeaderFilter{{Name: order.HeaderErrorCode, Value: "conflict"}}}, []int64{2}},
		{"the beginning of a header", Filter{Headers: []HeaderFilter{{Name: order.HeaderErrorCode, Value: "con*"}}}, []int64{2}},
		{"two that exclude each other", Filter{Orders: []string{"A-1"}, Goods: []string{"pear"}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, steps := planned(t, l, m, func(p *Planner) { p.Rules.Filter = tt.filter })
			var got []int64
			for _, s := range steps {
				got = append(got, s.Message.Offset)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("offsets (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSourceMergesPartitionsByTimeAndGoesOnFromAPosition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := logInMemory{}
		at := time.Duration(0)
		for i := range rapid.IntRange(0, 50).Draw(t, "messages") {
			at += time.Duration(rapid.IntRange(0, 1).Draw(t, "later"))
			l.add(rapid.IntRange(0, 3).Draw(t, "partition"), at, created(fmt.Sprint(i), line("apple", 1)))
		}
		var ranges []Range // some single messages and some runs of each partition
		for id, messages := range l {
			for from := 0; from < len(messages); {
				to := min(len(messages), from+rapid.IntRange(1, 5).Draw(t, "run"))
				ranges = append(ranges, Range{Topic: topic, Partition: id, From: int64(from), To: int64(to)})
				from = to + rapid.IntRange(0, 3).Draw(t, "gap")
			}
		}
		read := func(after Positions) (places []string, positions []Positions) {
			now := after.Clone()
			last := make(map[int]int64)
			var time time.Time
			err := NewSource(l, ranges).Read(context.Background(), after, func(m *order.Message) error {
				if offset, seen := last[m.Partition]; seen && m.Offset <= offset || m.Time.Before(time) {
					t.Fatalf("%s comes too late", Place(m))
				}
				last[m.Partition], time = m.Offset, m.Time
				now.Pass(m)
				places, positions = append(places, Place(m)), append(positions, now.Clone())
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return places, positions
		}
		all, positions := read(Positions{})
		if int64(len(all)) != Total(ranges) {
			t.Fatalf("%d messages of %d", len(all), Total(ranges))
		}
		if len(all) > 0 {
			n := rapid.IntRange(0, len(all)-1).Draw(t, "stop")
			rest, _ := read(positions[n])
			if !slices.Equal(rest, all[n+1:]) {
				t.Fatalf("went on with %v, want %v", rest, all[n+1:])
			}
		}
	})
}

// What is left out because it changes nothing must change nothing whatever becomes of
// the rest: a create that would be rejected is deducted when goods come in first.
func TestChangesOnlyKeepsTheCancelOfACreateThatItPublishes(t *testing.T) {
	t.Parallel()
	m := stocked(t, map[string]int64{"apple": 1})
	apply(t, m, created("old", line("apple", 5)))
	l := logInMemory{}
	events := []order.Event{
		created("A", line("apple", 2)), created("A", line("apple", 2)), cancelled("A"), // comes after goods
		created("B", line("apple", 1)), cancelled("B"), cancelled("B"),
		created("old", line("apple", 5)), cancelled("old"), // rejected it stays
	}
	for i, e := range events {
		l.add(0, time.Duration(i)*time.Second, e)
	}
	_, steps := planned(t, l, m, func(p *Planner) { p.Rules.ChangesOnly = true })
	want := []Class{WillReject, Unneeded, Repeated, WillDeduct, WillRelease, Unneeded, Unneeded, Unneeded}
	if diff := cmp.Diff(want, classesOf(steps)); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
}
