package order

import (
	"time"

	"orderconsumer/internal/stock"
)

// Settlement is the end of one order event's way through this process: it was
// answered, sent to a retry tier, or dead-lettered, and the log has confirmed
// that.
type Settlement struct {
	Outcome string        // one of SettledOutcomes
	Code    string        // why, for retried and dead: a short stable word
	Tier    string        // the retry tier it went to, for retried
	Cause   error         // likewise, whole; see Reason
	Topic   string        // where the event was read from
	Order   string        // of which order it is, for dead; empty when that could not be read
	Origin  stock.Origin  // where it was first read, for dead
	Age     time.Duration // from append to settlement
	Took    time.Duration // from Submit to settlement
}

// Outcomes of a Settlement: the state the order came to, or what became of an
// event that changed nothing.
const (
	SettledDeducted  = string(stock.Deducted)
	SettledRejected  = string(stock.Rejected)
	SettledReleased  = string(stock.Released)
	SettledVoided    = string(stock.Voided)
	SettledDuplicate = "duplicate" // the order was known; its outcome was published again
	SettledRetried   = "retried"   // it went to a retry tier
	SettledDead      = "dead"      // it went to the dead letters
)

// SettledOutcomes are all outcomes there are.
func SettledOutcomes() []string {
	return []string{SettledDeducted, SettledRejected, SettledReleased, SettledVoided,
		SettledDuplicate, SettledRetried, SettledDead}
}

// Dependencies, as Observer.Paused names them, and Classify where the fate is
// Pause.
const (
	DependencyDatabase = "database"
	DependencyRedis    = "redis"
	DependencyKafka    = "kafka"
)

// Reasons of Observer.LockFailed.
const (
	LockTimeout   = "timeout"    // somebody else held the goods for longer than the budget
	LockWasLost   = "lost"       // it expired or was taken away while it was held
	LockRedisDown = "redis_down" // the lock service did not answer
	LockUnlock    = "unlock"     // the goods could not be given back; the lock expires
)

// RetryReasons are all that Observer.Retried is told: the codes of the errors
// whose fate is Again.
func RetryReasons() []string { return []string{CodeBusy, CodeLockLost} }

// LockReasons are all that Observer.LockFailed is told.
func LockReasons() []string {
	return []string{LockTimeout, LockWasLost, LockRedisDown, LockUnlock}
}

// Observer is told what happens in the flow. Its methods are called from many
// goroutines, must not block, and must not call back.
type Observer interface {
	// Settled reports the end of one event.
	Settled(Settlement)
	// Applied reports one committed transaction, its number of orders and how
	// long it took from BEGIN to the answer of COMMIT.
	Applied(orders int, took time.Duration)
	// Retried reports that a transaction is run again in place, and why: one of
	// RetryReasons.
	Retried(reason string)
	// LockWaited reports how long a batch waited for its goods.
	LockWaited(time.Duration)
	// LockHeld reports how long goods were kept from other instances, by one batch
	// or several in a row.
	LockHeld(time.Duration)
	// LockFailed reports a lock that was not obtained, lost, or not given back,
	// and why: one of LockReasons.
	LockFailed(reason string)
	// InFlight reports how many messages are read and not yet settled.
	InFlight(messages int)
	// Busy reports how many workers hold a batch.
	Busy(workers int)
	// Paused reports that work stands still because of a dependency (err says
	// what is wrong with it), or goes on again (err is nil).
	Paused(dependency string, err error)
}
