package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"orderconsumer/internal/stock"
)

// translate says what is known about a transaction that failed before COMMIT
// was sent: it was rolled back, so the only question is whose fault it was. An
// error that is nobody's known fault is returned as it is.
func (l *Ledger) translate(ctx context.Context, err error) error {
	if err == nil || known(err) {
		return err
	}
	// The caller's own end comes first: the driver reports it in many ways. (Not
	// the other way round: a dial that timed out by itself also calls itself a
	// deadline exceeded.)
	if ctxErr := ctx.Err(); ctxErr != nil {
		return fmt.Errorf("%w: %w", ctxErr, err)
	}
	if sentinel := l.dialect.Classify(err, false); sentinel != nil {
		return fmt.Errorf("%w: %w", sentinel, err)
	}
	if connectionFailed(err) {
		return fmt.Errorf("%w: %w", stock.ErrUnavailable, err)
	}
	return err
}

// translateBegin is translate for an error from before the transaction: nothing
// of the request was looked at, so the database it must be.
func (l *Ledger) translateBegin(ctx context.Context, err error) error {
	err = l.translate(ctx, err)
	if known(err) || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w: %w", stock.ErrUnavailable, err)
}

// translateCommit is translate for the answer to COMMIT, or its absence. Only a
// server that says so has rolled back; everything else leaves it open.
func (l *Ledger) translateCommit(ctx context.Context, err error) error {
	// database/sql did not send COMMIT when the context had ended before.
	if ctxErr := ctx.Err(); ctxErr != nil && (errors.Is(err, sql.ErrTxDone) || errors.Is(err, ctxErr)) {
		return fmt.Errorf("%w: %w", ctxErr, err)
	}
	if sentinel := l.dialect.Classify(err, true); sentinel != nil {
		return fmt.Errorf("%w: %w", sentinel, err)
	}
	return fmt.Errorf("%w: %w", stock.ErrUnknownCommit, err)
}

// known reports that the error already says what it is.
func known(err error) bool {
	for _, sentinel := range []error{
		stock.ErrBusy, stock.ErrUnknownCommit, stock.ErrUnavailable, stock.ErrInvalid, stock.ErrNotFound,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// connectionFailed recognises a broken or missing connection, whatever the
// driver.
func connectionFailed(err error) bool {
	for _, broken := range []error{
		driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe,
		net.ErrClosed, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if errors.Is(err, broken) {
			return true
		}
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}
