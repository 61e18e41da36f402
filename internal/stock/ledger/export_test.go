package ledger

import (
	"context"
	"database/sql"
	"runtime"
	"time"
)

// Transaction opens what is inside a transaction to the tests outside.
type Transaction struct{ t *transaction }

// Exec runs a statement of the test's.
func (t Transaction) Exec(ctx context.Context, text string) error {
	t.t.st.reset().text(text)
	_, err := t.t.exec(ctx, "test")
	return err
}

// Query runs a query of the test's and drops the rows.
func (t Transaction) Query(ctx context.Context, text string) error {
	t.t.st.reset().text(text)
	return t.t.query(ctx, "test", func(*sql.Rows) error { return nil })
}

// Transact runs fn in a writing transaction.
func (l *Ledger) Transact(ctx context.Context, fn func(Transaction) error) error {
	return l.transact(ctx, func(t *transaction) error {
		return fn(Transaction{t})
	})
}

// SetPatience has batches wait for each other for longer than a slow machine can take.
func (l *Ledger) SetPatience(d time.Duration) { l.patience = d }

// LookAfter is how many batches look their orders up after one has met a known order.
const LookAfter = lookAfter

// LookPays is how many do where known orders come too soon after each other.
const LookPays = lookPays

// LooksLeft is how many more batches are to look their orders up.
func (l *Ledger) LooksLeft() int {
	l.lookups.mu.Lock()
	defer l.lookups.mu.Unlock()
	return l.lookups.left
}

// LookNext has the next batches look their orders up.
func (l *Ledger) LookNext() { l.lookups.looked(true) }

// LookNoMore has the next batches take their orders for new.
func (l *Ledger) LookNoMore() {
	l.lookups.mu.Lock()
	defer l.lookups.mu.Unlock()
	l.lookups.left = 0
}

// AwaitLooks waits until the next batch is to look its orders up, and reports false if that takes too long.
func (l *Ledger) AwaitLooks(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for ctx.Err() == nil && l.LooksLeft() == 0 {
		runtime.Gosched()
	}
	return l.LooksLeft() > 0
}

// AwaitUndecided waits until a transaction of goods has joined that locks first.
func (l *Ledger) AwaitUndecided(ctx context.Context, goods string) {
	for ctx.Err() == nil {
		l.expectations.mu.Lock()
		w := l.expectations.undecided[goods]
		l.expectations.mu.Unlock()
		if w != nil {
			return
		}
		runtime.Gosched()
	}
}
