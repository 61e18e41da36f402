package ledger_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// Every damage to an order's movements ends with the order as its row says, the
// level with it, and an audit that finds nothing; a second time changes nothing.
func TestMendOrder(t *testing.T) {
	t.Parallel()
	const a, b = 10 - 1, 10 - 2 // what the shop has left
	cases := map[string]struct {
		damage []string
		order  string
		want   map[string]int64
	}{
		"took more than it asked for, and the level knows": {
			[]string{
				"UPDATE movements SET delta=-5 WHERE ref=" + id("deducted") + " AND goods_id=" + id("b"),
				"UPDATE stock SET available=5 WHERE goods_id=" + id("b"),
			}, "deducted", map[string]int64{"a": a, "b": b},
		},
		"took more than it asked for, and the level does not know": {
			[]string{"UPDATE movements SET delta=-5 WHERE ref=" + id("deducted") + " AND goods_id=" + id("b")},
			"deducted", map[string]int64{"a": a, "b": b},
		},
		"took goods it had not asked for": {
			[]string{"INSERT INTO stock(goods_id,available,updated_at)VALUES(" + id("c") + ",0,'2026-11-23 00:00:00')",
				movement("restock", "c", "restock", 3), movement("deducted", "c", "deduct", -3)},
			"deducted", map[string]int64{"a": a, "b": b, "c": 3},
		},
		"a line is missing": {
			[]string{"DELETE FROM movements WHERE ref=" + id("deducted") + " AND goods_id=" + id("b"),
				"UPDATE stock SET available=10 WHERE goods_id=" + id("b")},
			"deducted", map[string]int64{"a": a, "b": b},
		},
		"a release is missing": {
			[]string{"DELETE FROM movements WHERE ref=" + id("released") + " AND kind='release'"},
			"released", map[string]int64{"a": a, "b": b},
		},
		"a rejected order took something": {
			[]string{movement("rejected", "b", "deduct", -1), "UPDATE stock SET available=7 WHERE goods_id=" + id("b")},
			"rejected", map[string]int64{"a": a, "b": b},
		},
		"an order that is gone": {
			[]string{"DELETE FROM orders WHERE order_id=" + id("deducted")},
			"deducted", map[string]int64{"a": 10, "b": 10},
		},
		"a level that is gone": {
			[]string{"DELETE FROM stock WHERE goods_id=" + id("b"),
				"UPDATE movements SET delta=-5 WHERE ref=" + id("deducted") + " AND goods_id=" + id("b")},
			"deducted", map[string]int64{"a": a, "b": b},
		},
		"a release and its deduction are missing, of goods that were sold since": {
			[]string{"DELETE FROM movements WHERE ref=" + id("released"),
				movement("thrown away", "a", "correct", -8), "UPDATE stock SET available=1 WHERE goods_id=" + id("a")},
			"released", map[string]int64{"a": 1, "b": b},
		},
		"nothing": {nil, "deducted", map[string]int64{"a": a, "b": b}},
	}
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		for name, c := range cases {
			t.Run(name, func(t *testing.T) { // one database for all: each case starts from an empty one
				run(t, l, "DELETE FROM orders", "DELETE FROM movements", "DELETE FROM stock")
				shop(t, l)
				if len(c.damage) > 0 {
					run(t, l, c.damage...)
				}
				planned, err := l.Rehearse().MendOrder(t.Context(), c.order)
				if err != nil {
					t.Fatal(err)
				}
				done, err := l.MendOrder(t.Context(), c.order)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(planned.Levels, done.Levels) || !slices.Equal(planned.Removed, done.Removed) || len(planned.Added) != len(done.Added) {
					t.Errorf("rehearsed %+v, done %+v", planned, done)
				}
				if changed := len(done.Removed)+len(done.Added) > 0; changed != (len(c.damage) > 0) {
					t.Errorf("mended %+v", done)
				}
				for goods, want := range c.want {
					wantLevel(t, l, goods, want)
				}
				for _, m := range done.Added {
					if m.Balance < 0 {
						t.Errorf("a balance below zero: %+v", m)
					}
				}
				again, err := l.MendOrder(t.Context(), c.order)
				if err != nil || len(again.Removed)+len(again.Added)+len(again.Levels) > 0 {
					t.Errorf("a second time: %+v, %v", again, err)
				}
			})
		}
	})
}

// What was sold to somebody else meanwhile cannot be taken again; nothing changes.
func TestMendOrderThatWasSoldTwice(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		shop(t, l)
		run(t, l, "DELETE FROM movements WHERE ref="+id("deducted")+" AND goods_id="+id("b"),
			"UPDATE stock SET available=10 WHERE goods_id="+id("b"))
		wantVerdict(t, l, deduct("other", line("b", 9)), stock.Applied)
		before, err := l.Movements(t.Context(), "deducted")
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.MendOrder(t.Context(), "deducted")
		if !errors.Is(err, stock.ErrOversold) || !strings.Contains(err.Error(), `goods "b" would have -1 available`) {
			t.Errorf("got %v", err)
		}
		after, err := l.Movements(t.Context(), "deducted")
		if err != nil || !slices.Equal(before, after) {
			t.Errorf("movements were %+v, are %+v, %v", before, after, err)
		}
		if _, err := l.Add(t.Context(), "found", line("b", 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.MendOrder(t.Context(), "deducted"); err != nil {
			t.Fatal(err)
		}
		wantLevel(t, l, "b", 0)
	})
}

func TestMendOrderThatCannotBeRead(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		shop(t, l)
		run(t, l, "UPDATE orders SET items='{\"a\":' WHERE order_id="+id("deducted"))
		if _, err := l.MendOrder(t.Context(), "deducted"); !errors.Is(err, stock.ErrInvalid) || errors.Is(err, stock.ErrOversold) {
			t.Errorf("got %v, want ErrInvalid and not ErrOversold", err)
		}
	})
}
