package app

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/stock"
)

// dayOrders is how many orders a day has that is replayed whole: REPLAY_DAY_ORDERS,
// or few.
func dayOrders(t *testing.T) int {
	t.Helper()
	text := os.Getenv("REPLAY_DAY_ORDERS")
	if text == "" {
		return 3000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal("REPLAY_DAY_ORDERS:", err)
	}
	return n
}

// allLevels are the levels of the whole catalogue.
func (s *shop) allLevels() map[string]int64 {
	s.t.Helper()
	levels := make(map[string]int64)
	after := ""
	for {
		page, err := s.ledger.List(s.t.Context(), after, 1000)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(page) == 0 {
			return levels
		}
		for _, level := range page {
			levels[level.Goods], after = level.Available, level.Goods
		}
	}
}

// A day's topic that is replayed whole changes no stock, and its plan says so
// beforehand. After some of its orders were lost from the database, the plan of the
// next replay names before and after of every goods, and so it comes out.
func TestReplayOfAWholeDay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	day := s.newDay(dayOrders(t))
	instance := s.start()
	day.publish(day.events)
	day.awaitLeft(0)
	before := s.allLevels()

	s.replay().want(t, cli.ExitOK, "no stock changes", "nothing is published")
	do := []string{"--execute", "--rate", "0", "--ramp", "1,10,100,rest", "--reason"}
	s.replay(append(do, "the whole day")...).want(t, cli.ExitOK, "no stock changes", "is done")
	if !maps.Equal(before, s.allLevels()) {
		t.Error("levels have changed")
	}

	lost := make(map[string]struct{}) // an order may have several events
	for _, m := range s.read(s.topics.Input) {
		id := string(m.Key)
		record, err := s.ledger.Lookup(t.Context(), id)
		if err == nil && record.State == stock.Deducted && m.Offset%20 == 0 {
			lost[id] = struct{}{}
		}
	}
	s.forget(slices.Collect(maps.Keys(lost))...)
	named := s.allLevels()
	if maps.Equal(before, named) {
		t.Fatalf("%d orders were lost and no level has changed", len(lost))
	}
	plan := s.replay("-o", "json").want(t, cli.ExitOK).answer(t)
	for _, g := range plan.Plan.Goods {
		if named[g.GoodsID] != g.Before {
			t.Errorf("%s has %d, not %d", g.GoodsID, named[g.GoodsID], g.Before)
		}
		named[g.GoodsID] = g.After
	}
	if !maps.Equal(before, named) {
		t.Error("the plan does not name the levels that there were")
	}
	s.replay(append(do, "restored")...).want(t, cli.ExitOK, "is done")
	if !maps.Equal(named, s.allLevels()) {
		t.Error("levels are not as the plan has named them")
	}
	if found, summary, _ := s.audit(cli.ExitOK); len(found) != 0 || summary.ByClass["in_flight"] != 0 {
		t.Errorf("found %+v in %+v", found, summary)
	}
	s.end(instance)
	day.examine()
}
