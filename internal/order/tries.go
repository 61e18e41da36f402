package order

import (
	"errors"
	"time"

	"orderconsumer/internal/stock"
)

// againMost is how often a transaction that the database rolled back is run
// before its batch is split. A deadlock is gone the second time; a row that is
// held for six lock waits in a row is held by something that will not let go.
const againMost = 6

const (
	// slowAfter is how long a transaction must have run for its failure to be
	// put down to its size: just below what the database may take to answer one
	// statement.
	slowAfter = 4 * time.Second
	// slowMost is how often in a row that may happen before the batch is
	// halved. An overloaded database that never gets through a large
	// transaction would otherwise be given the same one for ever.
	slowMost = 2
)

// tries is what the tries of one transaction have come to.
type tries struct {
	slowAfter time.Duration
	waits     bool // there is no retry tier to send anything to
	alone     bool // it is one order's

	again   int  // failures that count
	slow    int  // failures after a long time
	doubted bool // rows were found locked while a COMMIT was in doubt
}

// after says what follows a try that has failed with err after it took so long: whether it
// is run again (Again), or when its surroundings are well (Pause), and why. There are no more
// tries where the error is of another kind, or has come too often: the batch is halved then,
// and what is left alone finds its end by it. doubt says that nobody but the database knows
// what became of some transaction of the flow.
func (t *tries) after(err error, doubt bool, took time.Duration) (fate Fate, why string, more bool) {
	fate, why = Classify(err)
	locked := errors.Is(err, stock.ErrRowsLocked)
	switch {
	case doubt && locked:
		// A COMMIT that was not answered may be what holds the rows.
		t.doubted = true
		if t.again+1 >= againMost {
			t.again = 0
			fate, why = Pause, DependencyDatabase
		}
	case locked && t.waits && t.alone && t.again+1 >= againMost:
		// Without a tier to wait in, an order waits for locked rows where it is, for as long as
		// that lasts: a dead letter could be an order that is deducted, by a COMMIT that hangs in
		// the server and holds them. Its goods are given back meanwhile, as in every pause.
		t.again = 0
		fate, why = Pause, DependencyDatabase
	case t.doubted && !doubt:
		t.again, t.doubted = 0, false // it is known what became of it: locked rows count from here
	}
	switch fate {
	case Again:
		t.again++
		return fate, why, t.again < againMost
	case Pause:
		if took >= t.slowAfter {
			t.slow++
		}
		return fate, why, t.slow < slowMost || t.alone
	default:
		return fate, why, false
	}
}
