package ledger_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// shop is a small shop with an order in every state.
func shop(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	stocked(t, l, 10, "a", "b")
	reqs := slices.Concat(
		deduct("deducted", line("a", 1), line("b", 2)),
		deduct("released", line("a", 3)),
		deduct("rejected", line("a", 99)),
		[]stock.Request{
			{Order: "released", Action: stock.Release, Attempt: 1},
			{Order: "voided", Action: stock.Release, Attempt: 1},
		},
	)
	if _, err := l.Apply(t.Context(), reqs); err != nil {
		t.Fatal(err)
	}
}

// id is the literal of a key.
func id(s string) string { return fmt.Sprintf("x'%x'", s) }

// movement is an INSERT of one.
func movement(ref, goods, kind string, delta int) string {
	return fmt.Sprintf("INSERT INTO movements(ref,goods_id,kind,delta,balance,moved_at)VALUES(%s,%s,'%s',%d,0,'2026-11-23 00:00:00')",
		id(ref), id(goods), kind, delta)
}

func TestAuditFinds(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		damage []string
		want   []string // rule order goods
	}{
		"nothing in a shop that is right": {nil, nil},
		"a level that was changed by hand": {
			[]string{"UPDATE stock SET available=11 WHERE goods_id=" + id("a")},
			[]string{"level_is_not_sum_of_movements  a"},
		},
		"a level that was removed": {
			[]string{"DELETE FROM stock WHERE goods_id=" + id("a")},
			[]string{"movements_without_level  a"},
		},
		"a line of a deduction that is missing": {
			[]string{"DELETE FROM movements WHERE ref=" + id("deducted") + " AND goods_id=" + id("b")},
			[]string{"deducted_order_not_whole deducted ", "level_is_not_sum_of_movements  b"},
		},
		"a deduction of another number": {
			[]string{"UPDATE movements SET delta=-2 WHERE ref=" + id("deducted") + " AND goods_id=" + id("a")},
			[]string{"deducted_order_not_whole deducted ", "level_is_not_sum_of_movements  a"},
		},
		"a deduction of goods nobody asked for": {
			[]string{"UPDATE orders SET items='{\"a\":1}' WHERE order_id=" + id("deducted")},
			[]string{"deducted_order_not_whole deducted "},
		},
		"a deducted order that was given back": {
			[]string{"UPDATE orders SET state='deducted' WHERE order_id=" + id("released")},
			[]string{"deducted_order_not_whole released "},
		},
		"a released order that was not given back": {
			[]string{"UPDATE orders SET state='released' WHERE order_id=" + id("deducted")},
			[]string{"released_order_not_whole deducted "},
		},
		"a rejected order that took something": {
			[]string{movement("rejected", "b", "deduct", -1), movement("fix", "b", "correct", 1)},
			[]string{"movements_of_untouched_order rejected "},
		},
		"a voided order that gave something back": {
			[]string{movement("voided", "b", "release", 1), movement("fix", "b", "correct", -1)},
			[]string{"movements_of_untouched_order voided "},
		},
		"movements before, between and after the orders that belong to none": {
			[]string{
				movement("A first", "a", "deduct", -1), movement("m", "a", "release", 2), movement("zz", "a", "deduct", -1),
			},
			[]string{"movements_without_order A first a", "movements_without_order m a", "movements_without_order zz a"},
		},
		"an order that was removed": {
			[]string{"DELETE FROM orders WHERE order_id=" + id("deducted")},
			[]string{"movements_without_order deducted a", "movements_without_order deducted b"},
		},
		"items that cannot be read": {
			[]string{"UPDATE orders SET items='{\"a\":' WHERE order_id=" + id("rejected")},
			[]string{"order_unreadable rejected "},
		},
	}
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		for name, c := range cases {
			// One database for all: each case starts from an empty one.
			t.Run(name, func(t *testing.T) {
				run(t, l, "DELETE FROM orders", "DELETE FROM movements", "DELETE FROM stock")
				shop(t, l)
				run(t, l, c.damage...)
				var got []string
				summary, err := l.Audit(t.Context(), stock.AuditOptions{Report: func(f stock.Finding) {
					got = append(got, strings.Join([]string{string(f.Rule), f.Order, f.Goods}, " "))
				}})
				if err != nil {
					t.Fatal(err)
				}
				slices.Sort(got)
				slices.SortFunc(c.want, cmp.Compare)
				if diff := gocmp.Diff(c.want, got); diff != "" {
					t.Errorf("findings (-want +got):\n%s", diff)
				}
				if summary.Findings != int64(len(got)) || summary.Clean() != (len(got) == 0) {
					t.Errorf("summary counts %d findings of %d", summary.Findings, len(got))
				}
			})
		}
	})
}

func run(t *testing.T, l *ledger.Ledger, statements ...string) {
	t.Helper()
	err := l.Transact(t.Context(), func(tx ledger.Transaction) error {
		for _, text := range statements {
			if err := tx.Exec(t.Context(), text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAuditSeesOneMoment lets orders in while an audit is half-way.
func TestAuditSeesOneMoment(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		shop(t, l)
		summary, err := l.Audit(t.Context(), stock.AuditOptions{
			Report: func(f stock.Finding) { t.Errorf("audit: %+v", f) },
			Progress: func(so stock.Summary) {
				if so.Goods == 0 { // orders are read, levels are not
					wantVerdict(t, l, deduct("meanwhile", line("a", 1), line("b", 1)), stock.Applied)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[stock.State]int64{stock.Deducted: 1, stock.Released: 1, stock.Rejected: 1, stock.Voided: 1}
		if diff := gocmp.Diff(want, summary.ByState); diff != "" {
			t.Errorf("orders by state (-want +got):\n%s", diff)
		}
		wantLevel(t, l, "a", 8)
	})
}

// TestAuditOfManyPages has more orders than are held in memory at a time, and
// movements of adjustments between them.
func TestAuditOfManyPages(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		stocked(t, l, 100_000, "a")
		const batches, perBatch = 9, 500
		for batch := range batches {
			var reqs []stock.Request
			for i := range perBatch {
				reqs = append(reqs, deduct(fmt.Sprintf("%d-%d", i, batch), line("a", 1))...)
			}
			if _, err := l.Apply(t.Context(), reqs); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Add(t.Context(), fmt.Sprintf("%d-", batch*100), line("a", perBatch)); err != nil {
				t.Fatal(err)
			}
		}
		run(t, l, "DELETE FROM movements WHERE ref="+id("250-4"))
		var got []stock.Finding
		pages := 0
		summary, err := l.Audit(t.Context(), stock.AuditOptions{
			Report:   func(f stock.Finding) { got = append(got, f) },
			Progress: func(stock.Summary) { pages++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		if summary.Orders != batches*perBatch || summary.Movements != batches*perBatch-1+batches+1 || pages < 4 {
			t.Errorf("%d orders, %d movements, %d reports of progress", summary.Orders, summary.Movements, pages)
		}
		if len(got) != 2 || got[0].Order != "250-4" || got[1].Goods != "a" {
			t.Errorf("findings %+v, want the order without movements and its goods", got)
		}
	})
}
