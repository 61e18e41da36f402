package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"orderconsumer/internal/stock"
)

// Snapshot is the ledger as of one moment. It is for one goroutine at a time.
type Snapshot struct {
	ledger *Ledger
	t      *transaction
}

// Snapshot calls fn with the ledger as of one moment: what is decided meanwhile
// is not seen, and nothing is locked. A database server keeps old row versions
// while fn runs. Between two questions fn may do something else for up to a
// quarter of an hour. The snapshot is of no use after fn has returned.
func (l *Ledger) Snapshot(ctx context.Context, fn func(*Snapshot) error) error {
	options := l.dialect.Snapshot
	return l.transactIn(ctx, l.views, &options, func(t *transaction) error {
		return fn(&Snapshot{ledger: l, t: t})
	})
}

// Records returns what is recorded about the given orders, by order; orders
// that are not known are left out.
func (s *Snapshot) Records(ctx context.Context, orders []string) (map[string]stock.Record, error) {
	records := make(map[string]stock.Record, len(orders))
	err := s.ledger.findOrders(ctx, s.t, orders, records)
	return records, s.ledger.translate(ctx, err)
}

// Levels returns the levels of the given goods, by goods; goods that are not in
// the catalogue are left out.
func (s *Snapshot) Levels(ctx context.Context, goods []string) (map[string]stock.Level, error) {
	levels := make(map[string]stock.Level, len(goods))
	var row stockRow
	for chunk := range slices.Chunk(goods, maxKeys) {
		s.t.st.reset().text("SELECT goods_id,available,updated_at FROM stock WHERE goods_id IN(")
		for i, id := range chunk {
			if i > 0 {
				s.t.st.text(",")
			}
			s.t.st.bytes(id)
		}
		s.t.st.text(")")
		err := s.t.query(ctx, fmt.Sprintf("read levels of %d goods", len(chunk)), func(rows *sql.Rows) error {
			if err := rows.Scan(&row.GoodsID, &row.Available, &row.UpdatedAt); err != nil {
				return err
			}
			level := row.level()
			levels[level.Goods] = level
			return nil
		})
		if err != nil {
			return nil, s.ledger.translate(ctx, err)
		}
	}
	return levels, nil
}
