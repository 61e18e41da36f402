package audit

import (
	"testing"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// An order whose event was taken by compaction is no order without event: nothing
// says that there was none.
func TestOrderOfAHoleInTheLogIsNoFinding(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC)
	var found []Finding
	a := &auditor{
		Case:   Case{Topics: order.NewTopics("orders", "g", nil), Report: func(f Finding) { found = append(found, f) }},
		sheets: map[int]*sheet{0: {from: 10, settled: 20, cells: make([]cell, 10)}},
	}
	a.sheets[0].saw(13, now) // a message of another order
	for _, offset := range []int64{13, 14} {
		err := a.origin(t.Context(), &stock.Record{Order: "A-1", State: stock.Rejected, DecidedAt: now, Origin: stock.Origin{Topic: "orders", Offset: offset}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) != 1 || found[0].Rule != RuleNoEvent || found[0].At.Offset != 13 || a.summary.Gone != 1 {
		t.Errorf("found %+v, %d gone", found, a.summary.Gone)
	}
}
