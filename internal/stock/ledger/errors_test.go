package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/go-sql-driver/mysql"

	"orderconsumer/internal/stock"
)

func server(number uint16, state string) error {
	err := &mysql.MySQLError{Number: number, Message: "test"}
	copy(err.SQLState[:], state)
	return err
}

// TestTranslate holds the meaning of an error before COMMIT and from COMMIT. No
// sentinel means "cannot tell".
func TestTranslate(t *testing.T) {
	t.Parallel()
	l := &Ledger{dialect: mysqlDialect()}
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	cases := []struct {
		name           string
		err            error
		before, commit error
	}{
		{"deadlock", server(1213, "40001"), stock.ErrBusy, stock.ErrBusy},
		{"lock wait", server(1205, "HY000"), stock.ErrBusy, stock.ErrBusy},
		{"group replication rolled back", server(3101, "HY000"), stock.ErrBusy, stock.ErrBusy},
		{"serialization failure by any number", server(9999, "40001"), stock.ErrBusy, stock.ErrBusy},
		{"duplicate key", server(1062, "23000"), stock.ErrBusy, stock.ErrUnknownCommit},
		{"CHECK on MySQL", server(3819, "HY000"), stock.ErrBusy, stock.ErrUnknownCommit},
		{"CHECK on MariaDB", server(4025, "23000"), stock.ErrBusy, stock.ErrUnknownCommit},
		{"too many connections", server(1040, "08004"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"shutting down", server(1053, "08S01"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"read-only", server(1290, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"disk full", server(1021, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"disk full, temporary file", server(3, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"disk full, cannot make a file", server(1, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"disk full, InnoDB", server(1114, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"a temporary table on a full disk", server(1034, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"no row can be logged", server(1534, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"disk failed, table can only be read", server(1036, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"file read failed", server(1024, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"file write failed", server(1026, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"storage engine failed", server(1030, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"binary log impossible", server(1598, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"password to be changed", server(1820, "HY000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"wrong password", server(1045, "28000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"no such database", server(1049, "42000"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"not migrated", server(1146, "42S02"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"connection exception by any number", server(9998, "08S01"), stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"bad connection", driver.ErrBadConn, stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"invalid connection", mysql.ErrInvalidConn, stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"dial", dial, stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"read timed out", os.ErrDeadlineExceeded, stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"dial timed out by itself", &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"end of stream", io.ErrUnexpectedEOF, stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"transaction already over", sql.ErrTxDone, stock.ErrUnavailable, stock.ErrUnknownCommit},
		{"a value too long", server(1406, "22001"), nil, stock.ErrUnknownCommit},
		{"a syntax error", server(1064, "42000"), nil, stock.ErrUnknownCommit},
		{"a packet too large", server(1153, "08S01"), nil, stock.ErrUnknownCommit},
		{"anything else", errors.New("surprise"), nil, stock.ErrUnknownCommit},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wrapped := fmt.Errorf("insert orders: %w", c.err)
			wantSentinel(t, l.translate(t.Context(), wrapped), c.before)
			wantSentinel(t, l.translateCommit(t.Context(), wrapped), c.commit)
			// Before the transaction nothing of the request was looked at.
			begin := c.before
			if begin == nil {
				begin = stock.ErrUnavailable
			}
			wantSentinel(t, l.translateBegin(t.Context(), wrapped), begin)
			if err := l.translate(t.Context(), wrapped); !errors.Is(err, c.err) {
				t.Errorf("%v does not wrap %v", err, c.err)
			}
		})
	}
}

func wantSentinel(t *testing.T, err, want error) {
	t.Helper()
	for _, sentinel := range []error{stock.ErrBusy, stock.ErrUnknownCommit, stock.ErrUnavailable} {
		if got := errors.Is(err, sentinel); got != errors.Is(want, sentinel) {
			t.Errorf("%v: is %q = %t", err, sentinel, got)
		}
	}
}

func TestTranslateOfAnEndedContext(t *testing.T) {
	t.Parallel()
	l := &Ledger{dialect: mysqlDialect()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := l.translate(ctx, mysql.ErrInvalidConn)
	wantSentinel(t, err, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not a cancellation", err)
	}
	// database/sql saw the end first: COMMIT was not sent.
	for _, notSent := range []error{sql.ErrTxDone, context.Canceled} {
		err = l.translateCommit(ctx, notSent)
		wantSentinel(t, err, nil)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v is not a cancellation", err)
		}
	}
	// COMMIT was sent, then the connection went: the end of the context says
	// nothing about that.
	wantSentinel(t, l.translateCommit(ctx, mysql.ErrInvalidConn), stock.ErrUnknownCommit)
}

func TestKnownErrorsPass(t *testing.T) {
	t.Parallel()
	l := &Ledger{dialect: mysqlDialect()}
	for _, sentinel := range []error{stock.ErrInvalid, stock.ErrNotFound, stock.ErrUnknownCommit} {
		wrapped := fmt.Errorf("goods %q: %w", "a", sentinel)
		if got := l.translate(t.Context(), wrapped); got != wrapped { //nolint:errorlint // the very same error
			t.Errorf("%v became %v", wrapped, got)
		}
	}
}
