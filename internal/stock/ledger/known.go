package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"

	"orderconsumer/internal/stock"
)

const (
	// lookAfter is how many batches in a row look all of their orders up after one has met an order
	// that was known already. Orders come again in runs, after a crash, a rebalance or with a
	// replay, and a batch that finds out from the key of one has been written in vain, with those
	// that were decided after it: some three batches' work, against a fifteenth of one for looking.
	lookAfter = 32
	// lookPays is how many batches have to come for each known order for refusals to cost less than if all
	// of them looked. A refusal and the looks after it cost 5 batches' work, which is a fifteenth of 77; the rest is a
	// margin, because a refusal comes all at once. Where known orders come sooner, as many batches look after each.
	lookPays = 96
)

// lookups says which batches look up whether their orders are known before they insert
// them. Almost every order is new, and the primary key refuses one that is not: to ask first
// is a round trip and 7 % of the database's work for nothing.
type lookups struct {
	mu    sync.Mutex
	left  int // batches that are to look
	run   int // how many are to after a known order; 0 before the first
	since int // batches since the last one that had a known order
}

// next reports whether the next batch is to look.
func (l *lookups) next() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since++
	return l.left > 0
}

// looked notes whether a batch that looked has met a known order.
func (l *lookups) looked(known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !known {
		l.left = max(0, l.left-1)
		return
	}
	if l.run == 0 || l.since >= lookPays {
		l.run = lookAfter
	}
	l.left, l.since = max(lookAfter, l.run), 0
}

// refused notes that an order was known of a batch that did not look. Where that comes too soon, more
// of them look from then on; not where another one was refused beside it.
func (l *lookups) refused() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left > 0 {
		return
	}
	if l.run > 0 && l.since < lookPays {
		l.run = lookPays
	} else {
		l.run = lookAfter
	}
	l.left, l.since = l.run, 0
}

// failed notes that a batch will come again. What became of it may be known by then; and known
// orders need neither locks nor writes, so that what is in the way of them is in nobody's way who looks.
func (l *lookups) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = max(lookAfter, l.left)
}

// errNotInserted wraps what the database said to the insert of orders.
var errNotInserted = errors.New("orders not inserted")

// mayBeKnown reports whether a batch that did not look may have failed because one of its
// orders is known: the servers have more than one word for a key that is taken. Rows that are locked
// say nothing about it.
func mayBeKnown(err error) bool {
	return errors.Is(err, errNotInserted) && errors.Is(err, stock.ErrBusy) && !errors.Is(err, stock.ErrRowsLocked)
}

// findKnown reads the orders of the batch that are known: of one that does not look, those
// that are most likely to be, because they are to be given back or have been tried before.
//
// They are read before the levels are locked. Another instance may
// decide one of these orders in between: then our insert of the order, or of its
// release's movements, finds the key taken, and the batch is rolled back and
// comes again ([stock.ErrBusy]). Reading them after the locks would not save
// that, because an order that is not there yet cannot be locked.
func (l *Ledger) findKnown(ctx context.Context, t *transaction, b *batch) (map[string]stock.Record, error) {
	orders := make([]string, 0, len(b.reqs))
	for i := range b.reqs {
		if b.looks || oftenKnown(&b.reqs[i]) {
			orders = append(orders, b.reqs[i].Order)
		}
	}
	slices.Sort(orders)
	records := make(map[string]stock.Record)
	err := l.findOrders(ctx, t, slices.Compact(orders), records)
	if err == nil && b.looks {
		l.lookups.looked(b.comesAgain(records))
	}
	return records, err
}

// oftenKnown reports whether it is worth a look, in every batch, if an order is known.
func oftenKnown(r *stock.Request) bool { return r.Action == stock.Release || r.Attempt > 1 }

// comesAgain reports whether an order that should be new is known. One that is to be given
// back, or was tried before, says nothing about others.
func (b *batch) comesAgain(records map[string]stock.Record) bool {
	return len(records) > 0 && slices.ContainsFunc(b.reqs, func(r stock.Request) bool {
		_, known := records[r.Order]
		return known && !oftenKnown(&r)
	})
}

// findUnlisted reads those orders of a batch that does not look for which nothing would be
// inserted, so that no key could say that they are known: of goods that are not in the catalogue.
func (l *Ledger) findUnlisted(ctx context.Context, t *transaction, b *batch, book *stock.Book) error {
	if b.looks || len(book.Levels) == len(b.writer.needs) {
		return nil
	}
	asked := make(map[string]bool) // by findKnown, before the levels were read
	for i := range b.reqs {
		if r := &b.reqs[i]; oftenKnown(r) {
			asked[r.Order] = true
		}
	}
	var orders []string
	for i := range b.reqs {
		r := &b.reqs[i]
		unlisted := func(line stock.Line) bool { _, listed := book.Levels[line.Goods]; return !listed }
		if !asked[r.Order] && slices.ContainsFunc(r.Lines, unlisted) {
			orders = append(orders, r.Order)
		}
	}
	slices.Sort(orders)
	return l.findOrders(ctx, t, slices.Compact(orders), book.Records)
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
