package stock

import (
	"errors"
	"fmt"
)

// The ledger wraps every error it returns in one of these, or in none when it
// cannot tell. They say what is known about the transaction, not what to do
// next: the fate of an error is decided in one place, by the order package.
var (
	// ErrBusy: the database rolled the transaction back (a deadlock, a lock
	// wait). Nothing was changed; the same transaction may be run again.
	ErrBusy = errors.New("transaction rolled back by the database")

	// ErrRowsLocked is an ErrBusy: somebody else holds rows of the request, for longer
	// than the database lets anybody wait, or in a ring.
	ErrRowsLocked = fmt.Errorf("%w: its rows are locked", ErrBusy)

	// ErrUnknownCommit: the answer to COMMIT was lost. The transaction may or
	// may not have been applied; running it again finds out, because the order's
	// primary key decides.
	ErrUnknownCommit = errors.New("outcome of the commit is unknown")

	// ErrUnavailable: the database cannot be used just now (unreachable,
	// read-only, out of connections). Nothing is wrong with the request.
	ErrUnavailable = errors.New("database unavailable")

	// ErrInvalid: the request breaks a promise of its type (an id too long, a
	// goods twice, a level past its limit). It can never be applied; nothing was
	// changed.
	ErrInvalid = errors.New("invalid request")

	// ErrOversold is an ErrInvalid: the movements of a goods would come to less than
	// nothing, more of it was sold than was there.
	ErrOversold = fmt.Errorf("%w: more was sold than was there", ErrInvalid)

	// ErrOverloaded: the database is asked for levels as much as it may be. It was
	// not asked; nothing is wrong with the request.
	ErrOverloaded = errors.New("too much is asked of the database")

	// ErrNotFound: no such order or goods.
	ErrNotFound = errors.New("not found")
)
