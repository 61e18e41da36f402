package order

import "time"

// Settlement is the end of one order event's way through this process: it was
// answered, sent to a retry tier, or dead-lettered, and the log has confirmed
// that.
type Settlement struct {
	Outcome string        // deducted, rejected, released, voided, duplicate, retried or dead
	Code    string        // why, for retried and dead: a short stable word
	Tier    string        // the retry tier it went to, for retried
	Topic   string        // where the event was read from
	Age     time.Duration // from append to settlement
}

// Observer is told what happens in the flow. Its methods are called from many
// goroutines, must not block, and must not call back.
type Observer interface {
	// Settled reports the end of one event.
	Settled(Settlement)
	// Applied reports one committed transaction, its number of orders and how
	// long it took from BEGIN to the answer of COMMIT.
	Applied(orders int, took time.Duration)
	// Retried reports that a transaction is run again in place, and why: busy,
	// unknown_commit, lock_lost.
	Retried(reason string)
	// LockWaited reports how long a batch waited for its goods.
	LockWaited(time.Duration)
	// LockHeld reports how long goods were kept from other instances, by one batch
	// or several in a row.
	LockHeld(time.Duration)
	// LockFailed reports a lock that was not obtained or was lost: timeout,
	// lost or redis_down.
	LockFailed(reason string)
	// Waiting reports how many messages are read and not yet settled.
	Waiting(messages int)
	// Busy reports how many workers hold a batch.
	Busy(workers int)
	// Paused reports that work stands still because of a dependency (err says
	// what is wrong with it), or goes on again (err is nil).
	Paused(dependency string, err error)
}
