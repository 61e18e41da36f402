package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/stock"
)

// transaction is one open transaction. The first error makes it dead, and a
// dead one refuses every further statement: after a deadlock the server has
// rolled back by itself and would run what follows outside any transaction;
// after a lock wait it has undone one statement and would commit the rest.
type transaction struct {
	pool  gorm.ConnPool // the connection inside the transaction
	st    *statement
	dead  error
	wrote bool
	crash crash.Hook // around the commit; nil but for transactions of orders
}

// transact runs fn in one transaction and commits if fn returned nil and wrote
// anything. Whatever fails or panics in between rolls the whole of it back.
// The errors are those of package stock.
//
// Nothing is nested and the ledger's own pool is never used inside: a statement
// on another connection would survive the rollback.
func (l *Ledger) transact(ctx context.Context, fn func(*transaction) error) error {
	return l.transactIn(ctx, l.pool, &sql.TxOptions{}, fn)
}

// transactIn is transact on a connection of the given pool, with the given options.
func (l *Ledger) transactIn(ctx context.Context, pool *sql.DB, opts *sql.TxOptions, fn func(*transaction) error) error {
	connected := false
	session := l.db.WithContext(ctx)
	session.Statement.ConnPool = pool
	err := session.Connection(func(db *gorm.DB) error {
		connected = true
		return l.transactOn(ctx, db, opts, fn)
	})
	if !connected {
		// Without this a certificate that ran out would be the orders' fault: no list
		// of errors covers all that can go wrong at a handshake.
		return fmt.Errorf("connect: %w", l.translateBegin(ctx, err))
	}
	return l.translate(ctx, err)
}

// transactOn runs the transaction on one connection of its own, so that the
// connection can be thrown away when its state is in doubt.
func (l *Ledger) transactOn(ctx context.Context, db *gorm.DB, opts *sql.TxOptions, fn func(*transaction) error) error {
	conn, ok := db.Statement.ConnPool.(*sql.Conn)
	if !ok {
		return fmt.Errorf("gorm gave a %T for a connection", db.Statement.ConnPool)
	}
	tx := db.Begin(opts)
	if err := tx.Error; err != nil {
		discard(conn)
		return fmt.Errorf("begin: %w", l.translateBegin(ctx, err))
	}

	ended, gone := false, false
	defer func() {
		// Reached without a commit by an error, by nothing to write and by a panic,
		// which goes on after this.
		if !ended {
			if err := tx.Rollback().Error; err != nil || gone {
				discard(conn)
			}
		}
	}()

	t := &transaction{pool: tx.Statement.ConnPool, st: l.statement()}
	defer l.statements.Put(t.st)
	err := fn(t)
	if err == nil {
		err = t.dead
	}
	if err != nil {
		err = l.translate(ctx, err)
		// A server that was the primary and is read-only now answers as quickly as
		// ever. Back in the pool, the connection would be the next one taken, and
		// the new primary not found before it is too old.
		gone = errors.Is(err, stock.ErrUnavailable)
		return err
	}
	if !t.wrote {
		return nil
	}
	ended = true
	t.crash.At(crash.BeforeCommit)
	if err := tx.Commit().Error; err != nil {
		// A server that refused the COMMIT may still hold the transaction open, and
		// the next BEGIN on this connection would commit it.
		discard(conn)
		return fmt.Errorf("commit: %w", l.translateCommit(ctx, err))
	}
	t.crash.At(crash.AfterCommit)
	return nil
}

// statement returns an empty statement, if possible one with a buffer that has
// grown already.
func (l *Ledger) statement() *statement {
	if st, ok := l.statements.Get().(*statement); ok {
		return st
	}
	return new(statement)
}

// discard takes the connection out of the pool and closes it, which makes the
// server roll back whatever is open on it.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

// exec runs the statement written in t.st and returns how many rows it affected.
func (t *transaction) exec(ctx context.Context, what string) (int64, error) {
	if t.dead != nil {
		return 0, t.dead
	}
	t.wrote = true
	result, err := t.pool.ExecContext(ctx, t.st.String())
	if err != nil {
		return 0, t.kill(what, err)
	}
	affected, err := result.RowsAffected()
	if err != nil {
		return 0, t.kill(what, err)
	}
	return affected, nil
}

// query runs the statement written in t.st and calls scan for every row.
func (t *transaction) query(ctx context.Context, what string, scan func(*sql.Rows) error) error {
	if t.dead != nil {
		return t.dead
	}
	rows, err := t.pool.QueryContext(ctx, t.st.String())
	if err != nil {
		return t.kill(what, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return t.kill(what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return t.kill(what, err)
	}
	return nil
}

// kill remembers the first error, after which the transaction only rolls back.
func (t *transaction) kill(what string, err error) error {
	t.dead = fmt.Errorf("%s: %w", what, err)
	return t.dead
}
