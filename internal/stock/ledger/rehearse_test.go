package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// mender is what a rehearsal has in common with the ledger.
type mender interface {
	MendOrder(ctx context.Context, order string) (ledger.Mended, error)
	Recount(ctx context.Context, goods string) (stock.Adjusted, error)
	Add(ctx context.Context, ref string, line stock.Line) (stock.Adjusted, error)
}

// mendAll is every kind of step, most of them on goods that one before has changed, and
// what came of each.
func mendAll(ctx context.Context, m mender) []string {
	var came []string
	note := func(what string, answer any, err error) {
		switch {
		case errors.Is(err, stock.ErrOversold):
			came = append(came, what+": oversold")
		case errors.Is(err, stock.ErrNotFound):
			came = append(came, what+": not found")
		case err != nil:
			came = append(came, fmt.Sprint(what, ": ", err))
		default:
			came = append(came, fmt.Sprintf("%s: %+v", what, answer))
		}
	}
	mend := func(order string) {
		done, err := m.MendOrder(ctx, order)
		var moved []string // when and to what balance is not rehearsed
		for _, mv := range done.Removed {
			moved = append(moved, fmt.Sprintf("-%s %s %d", mv.Kind, mv.Goods, mv.Delta))
		}
		for _, mv := range done.Added {
			moved = append(moved, fmt.Sprintf("+%s %s %d", mv.Kind, mv.Goods, mv.Delta))
		}
		note("mend "+order, fmt.Sprint(moved, done.Levels), err)
	}
	recount := func(goods string) {
		done, err := m.Recount(ctx, goods)
		note("recount "+goods, done, err)
	}
	add := func(ref, goods string, num int64) {
		done, err := m.Add(ctx, ref, line(goods, num))
		note("add "+goods, done, err)
	}
	recount("b") // while the order is in doubt
	mend("deducted")
	mend("deducted")
	recount("b")
	recount("b")
	mend("sold twice")
	add("found", "c", 1)
	add("found", "c", 1)
	mend("sold twice")
	add("found", "new", 4)
	recount("new")
	add("found", "a", 2)
	mend("gone")
	recount("a")
	recount("nothing")
	return came
}

// A rehearsal says of each step what the ledger then does, with what came of the steps
// before, and changes nothing.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		shop(t, l)
		stocked(t, l, 5, "c")
		wantVerdict(t, l, deduct("sold twice", line("c", 3)), stock.Applied)
		run(t, l,
			"UPDATE movements SET delta=-5 WHERE ref="+id("deducted")+" AND goods_id="+id("b"),
			"UPDATE stock SET available=7 WHERE goods_id="+id("b"),
			// Both pieces of what somebody has thrown away, and the deduction, are gone.
			"DELETE FROM movements WHERE ref="+id("sold twice"), movement("thrown away", "c", "correct", -3),
			"UPDATE stock SET available=2 WHERE goods_id="+id("c"),
			movement("gone", "a", "deduct", -1), "UPDATE stock SET available=8 WHERE goods_id="+id("a"))
		state := func() string {
			var found []string
			_, err := l.Audit(t.Context(), stock.AuditOptions{Report: func(f stock.Finding) { found = append(found, fmt.Sprintf("%+v", f)) }})
			if err != nil {
				t.Fatal(err)
			}
			levels, err := l.List(t.Context(), "", 10)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(levels, found)
		}
		before := state()
		planned := mendAll(t.Context(), l.Rehearse())
		if after := state(); after != before {
			t.Errorf("a rehearsal changed something:\nbefore %s\nafter  %s", before, after)
		}
		if diff := cmp.Diff(mendAll(t.Context(), l), planned); diff != "" {
			t.Errorf("(-done +rehearsed):\n%s", diff)
		}
		wantClean(t, l)
	})
}

func TestRehearsalRefusesWhatTheLedgerWould(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		r := migrated(t, reopen(t)).Rehearse()
		for _, err := range []error{
			func() error { _, err := r.Add(t.Context(), "", line("a", 1)); return err }(),
			func() error { _, err := r.Add(t.Context(), "ref", line("a", -1)); return err }(),
		} {
			if !errors.Is(err, stock.ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
		}
	})
}
