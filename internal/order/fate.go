package order

import (
	"context"
	"errors"
	"fmt"

	"orderconsumer/internal/stock"
)

// Fate is what is done about an error.
type Fate uint8

const (
	// Again: the same transaction is run again in place. Nothing is wrong with
	// the orders, and running it twice is safe.
	Again Fate = iota + 1
	// Pause: a dependency is down. Work stands still and is tried again until
	// it is back; no attempt is counted and nothing goes to a retry topic.
	Pause
	// Retry: this order may heal. It goes to the next retry tier, and after the
	// last one to the dead letters.
	Retry
	// Dead: this event will never be applied. It goes to the dead letters at
	// once, with its bytes and the reason.
	Dead
	// Abandon: this process has been told to stop working. The event is left
	// as it is; whoever reads it next will apply it.
	Abandon
)

// Codes of failures that the flow itself detects. Malformed events carry codes
// of their own.
const (
	CodeConflict     = "conflict"        // order known with other content
	CodeGoodsUnknown = "goods_unknown"   // goods not in the catalogue
	CodeGoodsLocked  = "goods_locked"    // goods locked by somebody for too long
	CodePanic        = "panic"           // the program failed on this event
	CodeInvalid      = "invalid_request" // the ledger refuses what decoding let pass
	CodeBusy         = "database_busy"   // rolled back again and again
	CodeLockLost     = "lock_lost"       // the lock was lost while the transaction ran
	CodeTooOld       = "too_old"         // from before the dedup horizon
	CodeUnknown      = "unknown_failure" // an error nobody has classified
)

// Failures of one order that the flow detects. They are wrapped with what
// they happened to.
var (
	ErrConflict     = errors.New("order is known with other content")
	ErrGoodsUnknown = errors.New("goods are not in the catalogue")
	ErrTooOld       = errors.New("event is older than the dedup horizon")
)

// Failures of the lock, as the flow needs to tell them apart. A Locker wraps
// its errors in these.
var (
	// ErrGoodsLocked: somebody else held the goods until the deadline.
	ErrGoodsLocked = errors.New("goods are locked")
	// ErrLockUnavailable: the lock service did not answer.
	ErrLockUnavailable = errors.New("lock unavailable")
	// ErrLockLost: the lock expired or was taken away while it was held.
	ErrLockLost = errors.New("lock lost")
)

// panicError is a panic that was caught while one event was worked on.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// Classify is the only place that decides what an error means for the events
// it happened to, and under which code it is counted.
func Classify(err error) (Fate, string) {
	var malformed *Malformed
	var panicked *panicError
	switch {
	case errors.As(err, &malformed):
		return Dead, malformed.Code
	case errors.Is(err, ErrConflict):
		return Dead, CodeConflict
	case errors.Is(err, ErrTooOld):
		return Dead, CodeTooOld
	case errors.Is(err, stock.ErrInvalid):
		return Dead, CodeInvalid
	case errors.Is(err, ErrGoodsUnknown):
		return Retry, CodeGoodsUnknown
	case errors.Is(err, ErrGoodsLocked):
		return Retry, CodeGoodsLocked
	case errors.As(err, &panicked):
		// The event may have nothing to do with it: what broke was the program.
		return Retry, CodePanic
	case errors.Is(err, ErrLockLost):
		return Again, CodeLockLost
	case errors.Is(err, stock.ErrBusy):
		return Again, CodeBusy
	case errors.Is(err, stock.ErrUnavailable):
		return Pause, DependencyDatabase
	case errors.Is(err, stock.ErrUnknownCommit):
		// Not Again: a commit whose answer is lost is run again for as long as
		// it takes, and the usual reason is a database that is going away.
		return Pause, DependencyDatabase
	case errors.Is(err, ErrLockUnavailable):
		return Pause, DependencyRedis
	case errors.Is(err, ErrPublish):
		return Pause, DependencyKafka
	case errors.Is(err, context.Canceled):
		return Abandon, "stopped"
	default:
		// An unknown error counts as one that may heal: a retry tier costs
		// minutes, a wrong dead letter costs an order.
		return Retry, CodeUnknown
	}
}
