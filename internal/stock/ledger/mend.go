package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"orderconsumer/internal/stock"
)

// Mended says what MendOrder has changed.
type Mended struct {
	// Removed movements contradicted the order's row, Added ones were missing. Of one
	// that had another number the old one was removed and the right one added.
	Removed, Added []stock.Movement
	// Levels of the goods of these movements, by goods.
	Levels []stock.Adjusted
}

// MendOrder makes the deductions and releases recorded under an order what its row
// says, and the levels of their goods what their movements come to: for movements
// that were changed behind the ledger's back. An order without a row is one that
// has taken nothing. Whether the row itself is right is the caller's to know.
//
// It reads every movement there is while the goods are locked, so orders for them
// wait; when the movements are right already it changes nothing. The error wraps
// [stock.ErrOversold] when a goods' movements would come to less than nothing, which
// means that it was sold twice, and [stock.ErrInvalid] alone when the row cannot be
// read.
func (l *Ledger) MendOrder(ctx context.Context, order string) (Mended, error) {
	var done Mended
	var err error
	for range adjustAttempts {
		done, err = l.mendOrder(ctx, order)
		if !errors.Is(err, stock.ErrBusy) && !errors.Is(err, stock.ErrUnknownCommit) {
			break
		}
	}
	if err != nil {
		return done, fmt.Errorf("mend order %q: %w", order, err)
	}
	return done, nil
}

func (l *Ledger) mendOrder(ctx context.Context, order string) (done Mended, err error) {
	var changes stock.Changes
	err = l.transact(ctx, func(t *transaction) error {
		done, changes = Mended{}, stock.Changes{}
		// Levels are locked before orders, as for a batch of orders, so the goods have
		// to be known before. Whoever moves them needs the same levels.
		before, goods, err := l.wrongMovements(ctx, t, &l.dialect.FindOrders, order)
		if err != nil || before.empty() {
			return err
		}
		var book stock.Book
		if err := l.lockLevels(ctx, t, goods, &book); err != nil {
			return err
		}
		wrong, again, err := l.wrongMovements(ctx, t, &l.dialect.LockOrders, order)
		switch {
		case err != nil:
			return err
		case !slices.Equal(goods, again):
			return fmt.Errorf("%w: the order changed meanwhile", stock.ErrBusy)
		}
		done.Removed, done.Added = wrong.extra, wrong.missing
		return l.rewrite(ctx, t, &book, &done, &changes)
	})
	l.tell(&changes, err)
	return done, err
}

// wrongness is how the movements of an order differ from what they must be.
type wrongness struct{ extra, missing []stock.Movement }

func (w *wrongness) empty() bool { return len(w.extra)+len(w.missing) == 0 }

// wrongMovements holds the order's movements against its row, which query reads, and
// returns the goods of those that are wrong.
func (l *Ledger) wrongMovements(ctx context.Context, t *transaction, query *KeyQuery, order string) (w wrongness, goods []string, err error) {
	var record *stock.Record
	t.st.reset().keys(query, []string{order})
	err = t.query(ctx, "read order", func(rows *sql.Rows) error {
		var row orderRow
		if err := row.scan(rows); err != nil {
			return err
		}
		r, err := row.record()
		if err != nil {
			return fmt.Errorf("%w: %w", stock.ErrInvalid, err)
		}
		record = &r
		return nil
	})
	if err != nil {
		return w, nil, err
	}
	there, err := l.movementsOf(ctx, t, []stock.Record{{Order: order}})
	if err != nil {
		return w, nil, err
	}
	want := stock.MovementsOf(record)
	w.extra = without(there[order], want)
	w.missing = without(want, there[order])
	touched := make(map[string]struct{})
	for _, m := range slices.Concat(w.extra, w.missing) {
		touched[m.Goods] = struct{}{}
	}
	return w, slices.Sorted(maps.Keys(touched)), nil
}

// without are those of a that are not in b.
func without(a, b []stock.Movement) []stock.Movement {
	var rest []stock.Movement
	for _, m := range a {
		if !slices.Contains(b, m) {
			rest = append(rest, m)
		}
	}
	return rest
}

// rewrite takes away what contradicts the row, adds what is missing, and makes the
// levels what the movements then come to. The caller holds the levels.
func (l *Ledger) rewrite(ctx context.Context, t *transaction, book *stock.Book, done *Mended, changes *stock.Changes) error {
	now := l.clock()
	sums := make(map[string]int64)
	for _, m := range slices.Concat(done.Removed, done.Added) {
		sums[m.Goods] = 0
	}
	for i := range done.Removed {
		m := &done.Removed[i]
		t.st.reset().text("DELETE FROM movements WHERE ref=").bytes(m.Ref).text(" AND goods_id=").bytes(m.Goods).
			text(" AND kind=").word(string(m.Kind))
		if _, err := t.exec(ctx, "remove a movement"); err != nil {
			return err
		}
	}
	goods := slices.Sorted(maps.Keys(sums))
	if err := l.addUp(ctx, t, goods, sums); err != nil {
		return err
	}
	// When they happened nobody knows any more. Giving back comes first, so that no
	// balance is below zero on the way to a level that is not.
	for _, kind := range []stock.Kind{stock.KindRelease, stock.KindDeduct} {
		for i := range done.Added {
			if m := &done.Added[i]; m.Kind == kind {
				sums[m.Goods] += m.Delta
				m.Balance, m.At = sums[m.Goods], now
			}
		}
	}
	for _, id := range goods {
		level, known := book.Levels[id]
		if sums[id] < 0 {
			return fmt.Errorf("%w: goods %q would have %d available", stock.ErrOversold, id, sums[id])
		}
		done.Levels = append(done.Levels, stock.Adjusted{Goods: id, Before: level, After: sums[id], Created: !known})
		row := stock.Level{Goods: id, Available: sums[id], UpdatedAt: now, Version: book.Versions[id] + 1}
		switch {
		case !known:
			changes.Created = append(changes.Created, row)
		case level != sums[id]:
			changes.Levels = append(changes.Levels, row)
		}
	}
	changes.Movements = done.Added
	return l.write(ctx, t, changes)
}

// addUp adds the movements of the goods to their sums.
func (l *Ledger) addUp(ctx context.Context, t *transaction, goods []string, sums map[string]int64) error {
	for chunk := range slices.Chunk(goods, maxKeys) {
		t.st.reset().keys(&KeyQuery{Open: "SELECT goods_id,SUM(delta) FROM movements WHERE goods_id IN(", Between: ",", Close: ") GROUP BY goods_id"}, chunk)
		err := t.query(ctx, "add up movements", func(rows *sql.Rows) error {
			var id key
			var sum int64
			if err := rows.Scan(&id, &sum); err != nil {
				return err
			}
			sums[string(id)] += sum
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
