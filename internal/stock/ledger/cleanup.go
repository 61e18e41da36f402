package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"orderconsumer/internal/job"
	"orderconsumer/internal/stock"
)

const (
	// cleanUpPage is how many orders are looked at with one statement.
	cleanUpPage = 5000
	// cleanUpBatch is how many orders are removed in one transaction: some ten
	// milliseconds, in which a cancel of one of them waits.
	cleanUpBatch = 200
	// cleanUpRest bounds the pause after a batch. It is otherwise as long as the
	// batch took, so that the database has as much time for orders.
	cleanUpRest = time.Second
	// cleanUpAttempts bounds how often a batch is begun again after it lost against
	// cancels of its orders. A cancel writes its movement and then wants the order,
	// a batch the other way round, and the database ends the batch. The pauses
	// are three seconds in all on average, six at most: nobody waits for a clean-up.
	cleanUpAttempts = 12
	// cleanUpPause is the longest pause before the second attempt; it doubles, up
	// to cleanUpRest.
	cleanUpPause = 20 * time.Millisecond
)

// CleanUp removes orders and their movements, in small transactions, each of
// which checks the run's fence ([job.ErrFenced]). The sum of the movements it
// removes of a goods is added to one movement of that goods in the same
// transaction ([stock.KindCarry]), so that the sum of movements is the level, as
// always. What was removed stays removed when it fails half-way.
//
// The table is walked by its key. An index of times would find old orders
// sooner, and cost every new order a second place to be written to.
func (l *Ledger) CleanUp(ctx context.Context, run job.Run, c stock.CleanUp) (stock.CleanedUp, error) {
	var done stock.CleanedUp
	after := ""
	for {
		old, last, looked, err := l.oldOrders(ctx, after, c.Before)
		if err != nil {
			return done, fmt.Errorf("clean up, after %d orders: %w", done.Looked, l.translate(ctx, err))
		}
		for batch := range slices.Chunk(old, cleanUpBatch) {
			if err := l.cleanUpBatch(ctx, run, batch, c.Before, &done); err != nil {
				return done, fmt.Errorf("clean up, %d orders removed: %w", done.Orders, err)
			}
		}
		done.Looked += int64(looked)
		if c.Progress != nil {
			c.Progress(done)
		}
		if looked < cleanUpPage {
			return done, nil
		}
		after = last
	}
}

// oldOrders returns the old ones among the orders of one page, and the page's
// last one.
func (l *Ledger) oldOrders(ctx context.Context, after string, before time.Time) (old []string, last string, looked int, err error) {
	query := new(statement).text("SELECT order_id,decided_at,released_at FROM orders WHERE order_id>").bytes(after).
		text(" ORDER BY order_id LIMIT ").int(cleanUpPage).String()
	rows, err := l.db.WithContext(ctx).Raw(query).Rows()
	if err != nil {
		return nil, "", 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var row orderRow
		if err := rows.Scan(&row.OrderID, &row.DecidedAt, &row.ReleasedAt); err != nil {
			return nil, "", 0, err
		}
		looked, last = looked+1, string(row.OrderID)
		if row.changedBefore(before) {
			old = append(old, last)
		}
	}
	return old, last, looked, rows.Err()
}

func (r *orderRow) changedBefore(t time.Time) bool {
	return r.DecidedAt.Before(t) && (r.ReleasedAt == nil || r.ReleasedAt.Before(t))
}

// cleanUpBatch removes one batch, and rests.
func (l *Ledger) cleanUpBatch(ctx context.Context, run job.Run, orders []string, before time.Time, done *stock.CleanedUp) error {
	began := time.Now()
	var batch stock.CleanedUp
	err := l.givingWay(ctx, func(t *transaction) error {
		var err error
		batch, err = l.removeOrders(ctx, t, orders, before)
		if err != nil {
			return err
		}
		return t.guard(ctx, run)
	})
	if err != nil {
		return err
	}
	done.Orders += batch.Orders
	done.Movements += batch.Movements
	done.Kept += batch.Kept
	return rest(ctx, min(time.Since(began), cleanUpRest))
}

// givingWay runs fn in a transaction, again after a pause while it loses against
// others. The pause is random, so that it does not keep step with them.
func (l *Ledger) givingWay(ctx context.Context, fn func(*transaction) error) error {
	pause := cleanUpPause
	for attempt := 1; ; attempt++ {
		err := l.transact(ctx, fn)
		if attempt == cleanUpAttempts || !errors.Is(err, stock.ErrBusy) {
			return err
		}
		if err := rest(ctx, rand.N(pause)+1); err != nil {
			return err
		}
		pause = min(2*pause, cleanUpRest)
	}
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// removeOrders is one transaction of a clean-up. The orders are locked before
// their movements are read: a cancel writes both, and either comes before us and
// is seen, or finds the order gone and is rolled back.
func (l *Ledger) removeOrders(ctx context.Context, t *transaction, orders []string, before time.Time) (stock.CleanedUp, error) {
	records, err := l.lockOrders(ctx, t, orders, before)
	if err != nil {
		return stock.CleanedUp{}, err
	}
	movements, err := l.movementsOf(ctx, t, records)
	if err != nil {
		return stock.CleanedUp{}, err
	}
	var removed []string
	var done stock.CleanedUp
	sums := make(map[string]int64)
	for i := range records {
		r := &records[i]
		mine := movements[r.Order]
		if len(stock.AuditOrder(r, mine)) > 0 {
			done.Kept++
			continue
		}
		removed = append(removed, r.Order)
		done.Movements += int64(len(mine))
		for _, m := range mine {
			sums[m.Goods] += m.Delta
		}
	}
	done.Orders = int64(len(removed))
	if len(removed) == 0 {
		return done, nil
	}
	if err := l.carry(ctx, t, sums); err != nil {
		return stock.CleanedUp{}, err
	}
	if err := t.remove(ctx, "movements", &l.dialect.DeleteMovements, removed, done.Movements); err != nil {
		return stock.CleanedUp{}, err
	}
	return done, t.remove(ctx, "orders", &l.dialect.DeleteOrders, removed, done.Orders)
}

// lockOrders locks the orders and returns those that are still old.
func (l *Ledger) lockOrders(ctx context.Context, t *transaction, orders []string, before time.Time) ([]stock.Record, error) {
	var records []stock.Record
	t.st.reset().keys(&l.dialect.LockOrders, orders)
	err := t.query(ctx, fmt.Sprintf("lock %d orders", len(orders)), func(rows *sql.Rows) error {
		var row orderRow
		if err := row.scan(rows); err != nil {
			return err
		}
		if !row.changedBefore(before) {
			return nil
		}
		record, err := row.record()
		if err != nil {
			record.State = "" // the audit has a word for it
		}
		records = append(records, record)
		return nil
	})
	return records, err
}

// movementsOf reads the deductions and releases of the orders.
func (l *Ledger) movementsOf(ctx context.Context, t *transaction, records []stock.Record) (map[string][]stock.Movement, error) {
	found := make(map[string][]stock.Movement, len(records))
	if len(records) == 0 {
		return found, nil
	}
	refs := make([]string, len(records))
	for i := range records {
		refs[i] = records[i].Order
	}
	t.st.reset().keys(&KeyQuery{Open: "SELECT ref,goods_id,kind,delta FROM movements WHERE ref IN(", Between: ",", Close: ") AND kind IN('deduct','release')"}, refs)
	err := t.query(ctx, "read movements", func(rows *sql.Rows) error {
		var row movementRow
		if err := rows.Scan(&row.Ref, &row.GoodsID, &row.Kind, &row.Delta); err != nil {
			return err
		}
		ref := string(row.Ref)
		found[ref] = append(found[ref], stock.Movement{Ref: ref, Goods: string(row.GoodsID), Kind: row.Kind, Delta: row.Delta})
		return nil
	})
	return found, err
}

// remove deletes the rows of the orders, which must be exactly as many as were
// counted.
func (t *transaction) remove(ctx context.Context, what string, query *KeyQuery, orders []string, rows int64) error {
	t.st.reset().keys(query, orders)
	affected, err := t.exec(ctx, "delete "+what)
	if err != nil {
		return err
	}
	if affected != rows {
		return t.kill("delete "+what, fmt.Errorf("%w: %d rows were deleted, want %d", stock.ErrBusy, affected, rows))
	}
	return nil
}
