package ledger

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"orderconsumer/internal/stock"
)

// carry adds sums to the movement that stands for all that were removed, of each
// goods. That movement is the one that changes; its balance is its own sum. Only
// a clean-up changes it, and there is one at a time: that is what its fence is
// for.
func (l *Ledger) carry(ctx context.Context, t *transaction, sums map[string]int64) error {
	maps.DeleteFunc(sums, func(_ string, sum int64) bool { return sum == 0 }) // taken and given back
	goods := slices.Sorted(maps.Keys(sums))
	if len(goods) == 0 {
		return nil
	}
	if err := l.addCarried(ctx, t, goods, sums); err != nil {
		return err
	}
	now := l.clock()
	_, err := t.insertRows(ctx, "carry movements", insertMovement, len(goods), func(i int) {
		sum := sums[goods[i]]
		t.st.text("(").bytes(stock.CarriedRef).text(",").bytes(goods[i]).text(",").word(string(stock.KindCarry)).
			text(",").int(sum).text(",").int(sum).text(",").time(now).text(")")
	}, func() { l.dialect.Upsert.set(t.st, "delta", "balance", "moved_at") })
	return err
}

// addCarried adds what was carried before.
func (l *Ledger) addCarried(ctx context.Context, t *transaction, goods []string, sums map[string]int64) error {
	for chunk := range slices.Chunk(goods, maxKeys) {
		t.st.reset().text("SELECT goods_id,delta FROM movements WHERE ref=").bytes(stock.CarriedRef)
		t.st.keys(&KeyQuery{Open: " AND goods_id IN(", Between: ",", Close: ") AND kind='carry'"}, chunk)
		err := t.query(ctx, "read what was carried", func(rows *sql.Rows) error {
			var row movementRow
			if err := rows.Scan(&row.GoodsID, &row.Delta); err != nil {
				return err
			}
			sums[string(row.GoodsID)] += row.Delta
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
