package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"orderconsumer/internal/stock"
)

const (
	// maxStatementBytes ends a bulk statement: well under the 16 MiB packet a
	// MariaDB accepts by default, and large enough that a batch of 1,000 small
	// orders is one statement for each table.
	maxStatementBytes = 512 << 10

	// maxKeys bounds one look-up by keys, so that the server plans short lists.
	maxKeys = 2000
)

// Apply decides the requests in the order given and records what was decided,
// all in one transaction, and returns a decision for each request.
//
// The steps and what each is for: read the orders that are known; lock the
// levels the others need, in the order of their ids, so that two batches never
// hold what the other waits for; decide, in memory; write orders, movements and
// levels; commit. When every request was known nothing is locked or written.
//
// An error means that nothing was changed, except [stock.ErrUnknownCommit],
// which means that nobody knows yet. [stock.ErrBusy] and [stock.ErrUnknownCommit]
// ask for the same call again; [stock.ErrUnavailable] is the database's trouble;
// [stock.ErrInvalid] and any other error are about something in this batch.
func (l *Ledger) Apply(ctx context.Context, reqs []stock.Request) ([]stock.Decision, error) {
	for i := range reqs {
		if err := reqs[i].Check(); err != nil {
			return nil, fmt.Errorf("apply: %w", err)
		}
	}
	var decisions []stock.Decision
	var changes stock.Changes
	err := l.transact(ctx, &sql.TxOptions{Isolation: l.dialect.Isolation}, func(t *transaction) error {
		t.crash = l.crash
		book, err := l.read(ctx, t, reqs)
		if err != nil {
			return err
		}
		decisions, changes = book.Decide(reqs, l.clock())
		return l.write(ctx, t, &changes)
	})
	l.tell(&changes, err)
	if err != nil {
		return nil, fmt.Errorf("apply %d requests: %w", len(reqs), err)
	}
	return decisions, nil
}

// read makes the book the batch is decided from.
//
// The known orders are read before the levels are locked. Another instance may
// decide one of these orders in between: then our insert of the order, or of its
// release's movements, finds the key taken, and the batch is rolled back and
// comes again ([stock.ErrBusy]). Reading them after the locks would not save
// that, because an order that is not there yet cannot be locked.
func (l *Ledger) read(ctx context.Context, t *transaction, reqs []stock.Request) (*stock.Book, error) {
	orders := make([]string, 0, len(reqs))
	for i := range reqs {
		orders = append(orders, reqs[i].Order)
	}
	slices.Sort(orders)
	book := &stock.Book{Records: make(map[string]stock.Record)}
	if err := l.findOrders(ctx, t, slices.Compact(orders), book.Records); err != nil {
		return nil, err
	}
	goods := goodsNeeded(reqs, book.Records)
	if err := l.lockLevels(ctx, t, goods, book); err != nil {
		return nil, err
	}
	return book, nil
}

// goodsNeeded returns, sorted, the goods whose levels the batch reads: those of
// orders not known yet and those of known orders that are to be released.
func goodsNeeded(reqs []stock.Request, records map[string]stock.Record) []string {
	needed := make(map[string]struct{}, 2*len(reqs))
	for i := range reqs {
		record, known := records[reqs[i].Order]
		var lines []stock.Line
		switch {
		case reqs[i].Action == stock.Deduct && !known:
			lines = reqs[i].Lines
		case reqs[i].Action == stock.Release && known && record.State == stock.Deducted:
			lines = record.Lines
		}
		for _, line := range lines {
			needed[line.Goods] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(needed))
}

func (l *Ledger) findOrders(ctx context.Context, t *transaction, orders []string, into map[string]stock.Record) error {
	for chunk := range slices.Chunk(orders, maxKeys) {
		t.st.reset().keys(&l.dialect.FindOrders, chunk)
		err := t.query(ctx, fmt.Sprintf("read %d orders", len(chunk)), func(rows *sql.Rows) error {
			record, err := scanOrder(rows)
			if err != nil {
				return err
			}
			into[record.Order] = record
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) lockLevels(ctx context.Context, t *transaction, goods []string, into *stock.Book) error {
	into.Levels, into.Versions = make(map[string]int64, len(goods)), make(map[string]int64, len(goods))
	var raw sql.RawBytes
	var available, version int64
	for chunk := range slices.Chunk(goods, maxKeys) {
		t.st.reset().keys(&l.dialect.LockLevels, chunk)
		err := t.query(ctx, fmt.Sprintf("lock levels of %d goods", len(chunk)), func(rows *sql.Rows) error {
			if err := rows.Scan(&raw, &available, &version); err != nil {
				return err
			}
			id := string(raw)
			into.Levels[id], into.Versions[id] = available, version
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
