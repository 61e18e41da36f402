package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"orderconsumer/internal/stock"
)

// Recount makes the level of a goods what its movements come to, and leaves the
// movements as they are: for a level that was changed behind the ledger's back.
// Movements without a level get one. It reads every movement there is while the
// goods' row is locked, so orders for it wait. The error wraps stock.ErrOversold
// when the movements come to less than nothing, and stock.ErrNotFound when there
// is neither level nor movement.
func (l *Ledger) Recount(ctx context.Context, goods string) (stock.Adjusted, error) {
	var answer stock.Adjusted
	var err error
	for range adjustAttempts {
		answer, err = l.recount(ctx, goods)
		if !errors.Is(err, stock.ErrBusy) && !errors.Is(err, stock.ErrUnknownCommit) {
			break
		}
	}
	if err != nil {
		return answer, fmt.Errorf("recount goods %q: %w", goods, err)
	}
	return answer, nil
}

func (l *Ledger) recount(ctx context.Context, goods string) (answer stock.Adjusted, err error) {
	var changes stock.Changes
	err = l.transact(ctx, func(t *transaction) error {
		var book stock.Book
		if err := l.lockLevels(ctx, t, []string{goods}, &book); err != nil {
			return err
		}
		// Nobody moves a goods without holding its row, so the sum stands.
		var sum sql.NullInt64
		t.st.reset().text("SELECT SUM(delta) FROM movements WHERE goods_id=").bytes(goods)
		err := t.query(ctx, "add up movements", func(rows *sql.Rows) error { return rows.Scan(&sum) })
		if err != nil {
			return err
		}
		before, known := book.Levels[goods]
		switch {
		case !known && !sum.Valid:
			return stock.ErrNotFound
		case sum.Int64 < 0:
			return fmt.Errorf("%w: its movements come to %d", stock.ErrOversold, sum.Int64)
		}
		answer = stock.Adjusted{Goods: goods, Before: before, After: sum.Int64, Created: !known}
		level := stock.Level{Goods: goods, Available: sum.Int64, UpdatedAt: l.clock(), Version: book.Versions[goods] + 1}
		changes = stock.Changes{}
		switch {
		case !known:
			changes.Created = []stock.Level{level}
		case before != sum.Int64:
			changes.Levels = []stock.Level{level}
		}
		return l.write(ctx, t, &changes)
	})
	l.tell(&changes, err)
	return answer, err
}
