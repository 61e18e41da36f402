package stocktest

import (
	"fmt"
	"testing"

	"orderconsumer/internal/stock"
)

// stockMany makes n goods available in one adjustment.
func (w *world) stockMany(n int, available int64) {
	w.Helper()
	a := stock.Adjustment{Ref: "stock-many", Mode: stock.Set}
	for i := range n {
		a.Lines = append(a.Lines, line(goodsName(i), available))
	}
	if _, err := w.ledger.Adjust(w.ctx(), a); err != nil {
		w.Fatalf("stock %d goods: %v", n, err)
	}
}

func wideOrder(_ *testing.T, w *world) {
	const width = 500 // the most an order may have
	w.stockMany(width, 1_000_000_000)
	var lines []stock.Line
	for i := range width {
		lines = append(lines, line(goodsName(i), 1_000_000_000))
	}
	got := w.apply(deduct("wide", lines...))
	w.verdicts(got, "applied deducted")
	w.stands(got[0].Record)
	w.levels(map[string]int64{goodsName(0): 0, goodsName(width - 1): 0})

	got = w.apply(deduct("wide too", lines...))
	w.verdicts(got, "applied rejected")
	if n := len(got[0].Record.Shortages); n != width {
		w.Errorf("%d shortages, want %d", n, width)
	}
	w.stands(got[0].Record)
	w.verdicts(w.apply(release("wide")), "applied released")
	w.levels(map[string]int64{goodsName(0): 1_000_000_000})
}

func largeBatch(_ *testing.T, w *world) {
	const orders, width, goods = 1000, 20, 2500
	w.stockMany(goods, 1000)
	reqs := make([]stock.Request, orders)
	for i := range reqs {
		var lines []stock.Line
		for j := range width {
			lines = append(lines, line(goodsName((i+j*(goods/width))%goods), 1))
		}
		sortLines(lines)
		reqs[i] = deduct(fmt.Sprintf("order-%d", i*7919%orders), lines...)
	}
	for i, d := range w.apply(reqs...) {
		if got := verdictOf(d); got != "applied deducted" {
			w.Fatalf("request %d: %s", i, got)
		}
	}
	for i, d := range w.apply(reqs...) {
		if got := verdictOf(d); got != "known deducted" {
			w.Fatalf("request %d again: %s", i, got)
		}
	}
	summary := w.audit()
	if summary.Orders != orders || summary.Movements != orders*width+goods {
		w.Errorf("audit saw %d orders and %d movements", summary.Orders, summary.Movements)
	}
}
