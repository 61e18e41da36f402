package stocktest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderconsumer/internal/stock"
)

// world is one test's ledger and the words to speak about it. Its methods fail
// the test on an error, so that a test reads as what it is about.
type world struct {
	*testing.T
	ledger Ledger
	refs   int
}

func newWorld(t *testing.T, ledger Ledger) *world {
	w := &world{T: t, ledger: ledger}
	// Whatever a test did, the books must balance after it.
	t.Cleanup(func() {
		if !t.Failed() {
			w.audit()
		}
	})
	return w
}

// stocked makes goods available.
func (w *world) stocked(levels map[string]int64) {
	w.Helper()
	for goods, available := range levels {
		w.refs++
		_, err := w.ledger.Adjust(w.ctx(), stock.Adjustment{
			Ref: fmt.Sprint("stocked-", w.refs), Mode: stock.Set, Lines: []stock.Line{{Goods: goods, Num: available}},
		})
		if err != nil {
			w.Fatalf("stock %d of %q: %v", available, goods, err)
		}
	}
}

// ctx outlives the test's own context, which ends before its cleanups.
func (w *world) ctx() context.Context { return context.WithoutCancel(w.Context()) }

func (w *world) apply(reqs ...stock.Request) []stock.Decision {
	w.Helper()
	decisions, err := w.ledger.Apply(w.ctx(), reqs)
	if err != nil {
		w.Fatalf("apply %d requests: %v", len(reqs), err)
	}
	return decisions
}

// insist applies until it is answered, as a worker does.
func insist(ctx context.Context, ledger Ledger, reqs []stock.Request) ([]stock.Decision, error) {
	const attempts = 1000 // far more than contention explains
	for range attempts {
		decisions, err := ledger.Apply(ctx, reqs)
		if !errors.Is(err, stock.ErrBusy) && !errors.Is(err, stock.ErrUnknownCommit) && !errors.Is(err, stock.ErrUnavailable) {
			return decisions, err
		}
	}
	return nil, fmt.Errorf("no answer after %d attempts", attempts)
}

// verdicts compares what the decisions came to, as "verdict state".
func (w *world) verdicts(got []stock.Decision, want ...string) {
	w.Helper()
	var words []string
	for _, d := range got {
		words = append(words, verdictOf(d))
	}
	if diff := cmp.Diff(want, words); diff != "" {
		w.Fatalf("verdicts (-want +got):\n%s", diff)
	}
}

func verdictOf(d stock.Decision) string {
	switch d.Verdict {
	case stock.Applied:
		return "applied " + string(d.Record.State)
	case stock.Known:
		return "known " + string(d.Record.State)
	case stock.Conflict:
		return "conflict " + string(d.Record.State)
	case stock.UnknownGoods:
		return fmt.Sprint("unknown ", d.Unknown)
	default:
		return fmt.Sprint("verdict ", d.Verdict)
	}
}

// levels compares the levels of the given goods.
func (w *world) levels(want map[string]int64) {
	w.Helper()
	got := make(map[string]int64)
	for goods := range want {
		level, err := w.ledger.Get(w.ctx(), goods)
		if err != nil {
			w.Fatalf("level of %q: %v", goods, err)
		}
		got[goods] = level.Available
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Fatalf("levels (-want +got):\n%s", diff)
	}
}

// stands compares the record kept with the one a decision carried.
func (w *world) stands(want stock.Record) {
	w.Helper()
	got, err := w.ledger.Lookup(w.ctx(), want.Order)
	if err != nil {
		w.Fatalf("look up %q: %v", want.Order, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Fatalf("record of %q (-decided +kept):\n%s", want.Order, diff)
	}
}

// moved compares what was recorded under a reference, as "goods kind delta
// balance".
func (w *world) moved(ref string, want ...string) {
	w.Helper()
	movements, err := w.ledger.Movements(w.ctx(), ref)
	if err != nil {
		w.Fatalf("movements of %q: %v", ref, err)
	}
	var got []string
	for _, m := range movements {
		got = append(got, fmt.Sprintf("%s %s %+d %d", m.Goods, m.Kind, m.Delta, m.Balance))
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.Fatalf("movements of %q (-want +got):\n%s", ref, diff)
	}
}

// audit fails the test on every finding.
func (w *world) audit() stock.Summary {
	w.Helper()
	summary, err := w.ledger.Audit(w.ctx(), stock.AuditOptions{Report: func(f stock.Finding) {
		w.Errorf("audit: %s order %q goods %q: %s", f.Rule, f.Order, f.Goods, f.Detail)
	}})
	if err != nil {
		w.Fatalf("audit: %v", err)
	}
	return summary
}

// line is one goods of a request.
func line(goods string, num int64) stock.Line { return stock.Line{Goods: goods, Num: num} }

// deduct asks for lines, which must be sorted.
func deduct(order string, lines ...stock.Line) stock.Request {
	return stock.Request{
		Order: order, Action: stock.Deduct, Lines: lines, Attempt: 1,
		Origin: stock.Origin{Topic: "orders", Partition: 3, Offset: 1 << 40},
	}
}

// release asks to give an order back.
func release(order string) stock.Request {
	return stock.Request{
		Order: order, Action: stock.Release, Attempt: 2,
		Origin: stock.Origin{Topic: "orders.shop.retry.5s", Partition: 0, Offset: 9},
	}
}
