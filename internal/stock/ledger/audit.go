package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"orderconsumer/internal/stock"
)

const (
	// auditOrders is how many orders are held in memory at a time; at most 500
	// lines each.
	auditOrders = 2000
	// auditLevels is how many levels are read at a time.
	auditLevels = 10000
)

// Audit holds every row against the ledger's promises, as of one moment: orders
// that are decided meanwhile do not disturb it and are not disturbed. It reads
// each table once, in the order of its key. Memory is bounded by the number of
// goods (about 100 bytes each), not of orders. A database server keeps old row
// versions while it runs.
//
// The rules are those of package stock. That the last balance of each goods is
// its level is not among them: movements carry no sequence, and two of the same
// millisecond cannot be ordered; their sum says the same.
func (l *Ledger) Audit(ctx context.Context, options stock.AuditOptions) (stock.Summary, error) {
	started := time.Now()
	a := auditor{
		options: options,
		sums:    make(map[string]int64),
		summary: stock.Summary{ByState: make(map[stock.State]int64)},
	}
	snapshot := l.dialect.Snapshot
	err := l.transactIn(ctx, l.views, &snapshot, func(t *transaction) error {
		if err := a.orders(ctx, t); err != nil {
			return err
		}
		return a.levels(ctx, t)
	})
	a.summary.Took = time.Since(started)
	if err != nil {
		return a.summary, fmt.Errorf("audit, after %d orders and %d goods: %w", a.summary.Orders, a.summary.Goods, err)
	}
	return a.summary, nil
}

// auditor is one audit under way.
type auditor struct {
	options stock.AuditOptions
	summary stock.Summary
	sums    map[string]int64 // of the movements of each goods
}

func (a *auditor) report(found ...stock.Finding) {
	for _, finding := range found {
		a.summary.Findings++
		if a.options.Report != nil {
			a.options.Report(finding)
		}
	}
}

func (a *auditor) progress() {
	if a.options.Progress != nil {
		now := a.summary
		now.ByState = maps.Clone(now.ByState)
		a.options.Progress(now)
	}
}

// orders walks the orders and the movements side by side: both are keyed by the
// order. A page of orders is read, then the movements up to its end.
func (a *auditor) orders(ctx context.Context, t *transaction) error {
	after := ""
	for {
		page, err := a.page(ctx, t, after)
		if err != nil {
			return err
		}
		last := len(page) < auditOrders
		t.st.reset().text("SELECT ref,goods_id,kind,delta FROM movements WHERE ref>").bytes(after)
		if !last {
			after = page[len(page)-1].Order
			t.st.text(" AND ref<=").bytes(after)
		}
		t.st.text(" ORDER BY ref,goods_id,kind")
		if err := a.merge(ctx, t, page); err != nil {
			return err
		}
		a.progress()
		if last {
			return nil
		}
	}
}

// page reads the orders that follow one. An order that cannot be read is a
// finding, and its movements are none: its state is empty.
func (a *auditor) page(ctx context.Context, t *transaction, after string) ([]stock.Record, error) {
	page := make([]stock.Record, 0, auditOrders)
	t.st.reset().text("SELECT " + OrderColumns + " FROM orders WHERE order_id>").bytes(after).
		text(" ORDER BY order_id LIMIT ").int(auditOrders)
	err := t.query(ctx, "read orders", func(rows *sql.Rows) error {
		var row orderRow
		if err := row.scan(rows); err != nil {
			return err
		}
		record, err := row.record()
		a.summary.Orders++
		a.summary.ByState[record.State]++
		if err != nil {
			a.report(stock.Finding{Rule: stock.RuleState, Order: record.Order, Detail: err.Error()})
			record.State = ""
		} else if a.options.Order != nil {
			a.options.Order(&record)
		}
		page = append(page, record)
		return nil
	})
	return page, err
}

// merge runs the movements query in t.st and gives every order of the page its
// movements.
func (a *auditor) merge(ctx context.Context, t *transaction, page []stock.Record) error {
	var row movementRow
	var mine []stock.Movement // of page[0]
	settle := func() {
		if page[0].State != "" {
			a.report(stock.AuditOrder(&page[0], mine)...)
		}
		page, mine = page[1:], mine[:0]
	}
	err := t.query(ctx, "read movements", func(rows *sql.Rows) error {
		if err := rows.Scan(&row.Ref, &row.GoodsID, &row.Kind, &row.Delta); err != nil {
			return err
		}
		m := stock.Movement{Ref: string(row.Ref), Goods: string(row.GoodsID), Kind: row.Kind, Delta: row.Delta}
		a.summary.Movements++
		a.sums[m.Goods] += m.Delta
		if m.Kind != stock.KindDeduct && m.Kind != stock.KindRelease {
			return nil
		}
		for len(page) > 0 && page[0].Order < m.Ref {
			settle()
		}
		if len(page) == 0 || page[0].Order != m.Ref {
			a.report(stock.AuditStray(&m))
			return nil
		}
		mine = append(mine, m)
		return nil
	})
	if err != nil {
		return err
	}
	for len(page) > 0 {
		settle()
	}
	return nil
}

// levels holds every level against the sums collected before.
func (a *auditor) levels(ctx context.Context, t *transaction) error {
	after := key("")
	for {
		var row stockRow
		n := 0
		t.st.reset().text("SELECT goods_id,available FROM stock WHERE goods_id>").bytes(string(after)).
			text(" ORDER BY goods_id LIMIT ").int(auditLevels)
		err := t.query(ctx, "read levels", func(rows *sql.Rows) error {
			if err := rows.Scan(&row.GoodsID, &row.Available); err != nil {
				return err
			}
			goods := string(row.GoodsID)
			a.summary.Goods++
			a.report(stock.AuditLevel(goods, row.Available, a.sums[goods])...)
			delete(a.sums, goods)
			after = row.GoodsID
			n++
			return nil
		})
		if err != nil {
			return err
		}
		a.progress()
		if n < auditLevels {
			break
		}
	}
	for _, goods := range slices.Sorted(maps.Keys(a.sums)) {
		a.report(stock.Finding{Rule: stock.RuleNoLevel, Goods: goods, Detail: fmt.Sprintf("sum of movements %d", a.sums[goods])})
	}
	return nil
}
