package ledger

import (
	"context"
	"errors"
	"fmt"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/stock"
)

// write records the changes of a decision.
func (l *Ledger) write(ctx context.Context, t *transaction, c *stock.Changes) error {
	if err := l.writeRows(ctx, t, c); err != nil {
		return err
	}
	return l.writeStates(ctx, t, c)
}

// writeRows records what is new in a decision, writeStates what is changed by it and needs
// the levels locked. Every table is written in the order of its key.
func (l *Ledger) writeRows(ctx context.Context, t *transaction, c *stock.Changes) error {
	// Orders first: an order that another instance decided meanwhile shows here,
	// at the cheapest.
	if err := l.insertOrders(ctx, t, c.Inserted); err != nil {
		return fmt.Errorf("%w: %w", errNotInserted, err)
	}
	l.crash.At(crash.InTx)
	return l.insertMovements(ctx, t, c.Movements)
}

func (l *Ledger) writeStates(ctx context.Context, t *transaction, c *stock.Changes) error {
	// Releases come after their movements: it is the movements' key that refuses a
	// second release, the update itself would overwrite.
	if err := l.updateOrders(ctx, t, c.Updated); err != nil {
		return err
	}
	if err := l.insertLevels(ctx, t, c.Created); err != nil {
		return err
	}
	return l.updateLevels(ctx, t, c.Levels)
}

const (
	insertOrder    = "INSERT INTO orders(" + OrderColumns + ")VALUES"
	insertMovement = "INSERT INTO movements(ref,goods_id,kind,delta,balance,moved_at)VALUES"
	insertLevel    = "INSERT INTO stock(goods_id,available,updated_at,version)VALUES"
)

// insertRows writes n rows in statements of bounded size. end, when there is
// one, finishes each statement. It returns how many rows the server counted.
func (t *transaction) insertRows(ctx context.Context, what, head string, n int, row func(i int), end func()) (int64, error) {
	var counted int64
	for first := 0; first < n; {
		t.st.reset().text(head)
		next := first
		for next < n && (next == first || t.st.size() < maxStatementBytes) {
			if next > first {
				t.st.text(",")
			}
			row(next)
			next++
		}
		if end != nil {
			end()
		}
		affected, err := t.exec(ctx, fmt.Sprintf("%s %d of %d", what, next-first, n))
		if err != nil {
			return counted, err
		}
		counted += affected
		first = next
	}
	return counted, nil
}

func (l *Ledger) insertOrders(ctx context.Context, t *transaction, records []stock.Record) error {
	_, err := t.insertRows(ctx, "insert orders", insertOrder, len(records), orderRows(t.st, records), nil)
	return err
}

// updateOrders writes the orders that changed their state. A row that is not
// there any more was removed by a clean-up since it was read: the transaction is
// to be run again, and finds an order it does not know.
func (l *Ledger) updateOrders(ctx context.Context, t *transaction, records []stock.Record) error {
	counted, err := t.insertRows(ctx, "update orders", insertOrder, len(records), orderRows(t.st, records), func() {
		l.dialect.Upsert.set(t.st, "state", "released_at")
	})
	if err != nil {
		return err
	}
	return l.allUpdated(t, "orders", counted, len(records), stock.ErrBusy)
}

// orderRows returns a function that writes the values of one record.
func orderRows(st *statement, records []stock.Record) func(int) {
	var items, shortages []byte
	return func(i int) {
		r := &records[i]
		items, shortages = appendItems(items, r.Lines), appendShortages(shortages, r.Shortages)
		st.text("(").bytes(r.Order).
			text(",").word(string(r.State)).
			text(",").raw(items).
			text(",").raw(shortages).
			text(",").bytes(r.Origin.Topic).
			text(",").int(int64(r.Origin.Partition)).
			text(",").int(r.Origin.Offset).
			text(",").int(int64(r.Attempts)).
			text(",").time(r.DecidedAt).
			text(",").time(r.ReleasedAt).
			text(")")
	}
}

func (l *Ledger) insertMovements(ctx context.Context, t *transaction, movements []stock.Movement) error {
	st := t.st
	_, err := t.insertRows(ctx, "insert movements", insertMovement, len(movements), func(i int) {
		m := &movements[i]
		st.text("(").bytes(m.Ref).
			text(",").bytes(m.Goods).
			text(",").word(string(m.Kind)).
			text(",").int(m.Delta).
			text(",").int(m.Balance).
			text(",").time(m.At).
			text(")")
	}, nil)
	return err
}

// insertLevels adds goods to the catalogue. It is a plain insert: a goods that
// another instance added meanwhile is not locked by us, and to overwrite its
// level would lose what was put there.
func (l *Ledger) insertLevels(ctx context.Context, t *transaction, levels []stock.Level) error {
	_, err := t.insertRows(ctx, "insert levels", insertLevel, len(levels), levelRows(t.st, levels), nil)
	return err
}

// updateLevels writes levels whose rows this transaction has locked, so the new
// value is the whole truth and no arithmetic is left to the server.
func (l *Ledger) updateLevels(ctx context.Context, t *transaction, levels []stock.Level) error {
	counted, err := t.insertRows(ctx, "update levels", insertLevel, len(levels), levelRows(t.st, levels), func() {
		l.dialect.Upsert.set(t.st, "available", "updated_at", "version")
	})
	if err != nil {
		return err
	}
	return l.allUpdated(t, "levels", counted, len(levels), errVanished)
}

func levelRows(st *statement, levels []stock.Level) func(int) {
	return func(i int) {
		level := &levels[i]
		st.text("(").bytes(level.Goods).
			text(",").int(level.Available).
			text(",").time(level.UpdatedAt).
			text(",").int(level.Version).
			text(")")
	}
}

// allUpdated holds the server's count against the rows that were to be updated.
// A row that was inserted instead counts differently, and would be a row that
// vanished; otherwise says what that means.
func (l *Ledger) allUpdated(t *transaction, what string, counted int64, rows int, otherwise error) error {
	if want := int64(rows) * l.dialect.Upsert.Counted; counted != want {
		return t.kill("update "+what, fmt.Errorf("%w: the server counted %d for %d rows, want %d", otherwise, counted, rows, want))
	}
	return nil
}

// errVanished: somebody works on the tables who does not take part in the
// locking.
var errVanished = errors.New("a row vanished under our lock")
