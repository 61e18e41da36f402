package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// readCommitted connects with sessions in which every transaction is READ COMMITTED that does not
// ask for something else. Asked for at each BEGIN it would be one round trip more a
// transaction. It is a statement of its own because the two servers do not call the
// variable the same.
//
// REPEATABLE READ, the servers' default, would lock the gaps beside rows, too, which makes batches of
// different goods wait for each other, and show what is read without a lock as it was when the transaction
// first looked: a mend would add up movements as they were before it had waited for their order. Like the strict
// mode that is asked for when a session begins, it is lost behind a proxy that gives sessions to
// others without putting them back as they were.
type readCommitted struct{ driver.Connector }

const setReadCommitted = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

// Connect implements [driver.Connector].
func (c readCommitted) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	session, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a %T runs no statements", conn), conn.Close())
	}
	if _, err := session.ExecContext(ctx, setReadCommitted, nil); err != nil {
		_ = conn.Close() // the first error is the one to know
		return nil, fmt.Errorf("begin session: %w", err)
	}
	return conn, nil
}
