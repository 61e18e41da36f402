package ledger

import (
	"context"
	"fmt"
	"slices"

	"orderconsumer/internal/stock"
)

// Lookup returns what is recorded about one order, or an error that wraps
// [stock.ErrNotFound].
func (l *Ledger) Lookup(ctx context.Context, order string) (stock.Record, error) {
	records, err := l.Records(ctx, []string{order})
	if err != nil {
		return stock.Record{}, err
	}
	record, ok := records[order]
	if !ok {
		return stock.Record{}, fmt.Errorf("order %q: %w", order, stock.ErrNotFound)
	}
	return record, nil
}

// Records returns what is recorded about the given orders, by order; orders
// that are not known are left out.
func (l *Ledger) Records(ctx context.Context, orders []string) (map[string]stock.Record, error) {
	records := make(map[string]stock.Record, len(orders))
	for chunk := range slices.Chunk(orders, maxKeys) {
		if err := l.addRecords(ctx, chunk, records); err != nil {
			return nil, fmt.Errorf("read %d orders: %w", len(chunk), l.translate(ctx, err))
		}
	}
	return records, nil
}

func (l *Ledger) addRecords(ctx context.Context, orders []string, into map[string]stock.Record) error {
	query := new(statement).keys(&l.dialect.FindOrders, orders).String()
	rows, err := l.db.WithContext(ctx).Raw(query).Rows()
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		record, err := scanOrder(rows)
		if err != nil {
			return err
		}
		into[record.Order] = record
	}
	return rows.Err()
}

// Movements returns every movement recorded under one reference, by goods and
// kind; none when there is none.
func (l *Ledger) Movements(ctx context.Context, ref string) ([]stock.Movement, error) {
	var rows []movementRow
	err := l.db.WithContext(ctx).Where("ref = ?", key(ref)).Order("ref, goods_id, kind").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read movements of %q: %w", ref, l.translate(ctx, err))
	}
	movements := make([]stock.Movement, len(rows))
	for i := range rows {
		movements[i] = rows[i].movement()
	}
	return movements, nil
}

// Get returns the level of one goods, or an error that wraps
// [stock.ErrNotFound].
func (l *Ledger) Get(ctx context.Context, goods string) (stock.Level, error) {
	levels, err := l.Levels(ctx, []string{goods})
	if err != nil {
		return stock.Level{}, err
	}
	level, ok := levels[goods]
	if !ok {
		return stock.Level{}, fmt.Errorf("goods %q: %w", goods, stock.ErrNotFound)
	}
	return level, nil
}

// Levels returns the levels of the given goods, by goods; goods that are not in
// the catalogue are left out.
func (l *Ledger) Levels(ctx context.Context, goods []string) (map[string]stock.Level, error) {
	levels := make(map[string]stock.Level, len(goods))
	for chunk := range slices.Chunk(goods, maxKeys) {
		var rows []stockRow
		if err := l.db.WithContext(ctx).Where("goods_id IN ?", keysOf(chunk)).Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("read levels of %d goods: %w", len(chunk), l.translate(ctx, err))
		}
		for i := range rows {
			level := rows[i].level()
			levels[level.Goods] = level
		}
	}
	return levels, nil
}

// List returns the levels of up to limit goods whose id comes after the given
// one, by id as bytes. The empty id is before all: a caller goes on from the last
// goods of a page until a page is short.
func (l *Ledger) List(ctx context.Context, after string, limit int) ([]stock.Level, error) {
	var rows []stockRow
	err := l.db.WithContext(ctx).Where("goods_id > ?", key(after)).Order("goods_id").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("list %d levels after %q: %w", limit, after, l.translate(ctx, err))
	}
	levels := make([]stock.Level, len(rows))
	for i := range rows {
		levels[i] = rows[i].level()
	}
	return levels, nil
}
