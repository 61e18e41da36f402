package ledger

import (
	"context"
	"database/sql"
)

// Tx is an open transaction on tables beside the stock.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// InTransaction runs fn in one transaction on tables that live beside the stock in the
// same database, such as that of replays, and commits when fn returns nil. The
// errors are those of [Ledger.Apply]: [stock.ErrBusy] and [stock.ErrUnknownCommit]
// ask for the same again. An error of a statement must be returned; what it was about
// is for fn and the caller to say.
func (l *Ledger) InTransaction(ctx context.Context, fn func(Tx) error) error {
	return l.transact(ctx, func(t *transaction) error {
		t.wrote = true // it is not known; a commit of nothing costs a round trip
		return fn(t.pool)
	})
}
