// Package stock states the rules of the stock: what a request does to the
// levels, what is recorded about it, and when it is refused. It knows orders
// only as opaque references and knows neither the log nor the database; the
// package ledger applies these rules inside one SQL transaction.
package stock

import "time"

// Line is one goods and how many of it are asked for, taken or given back.
type Line struct {
	Goods string
	Num   int64
}

// Action says what a request wants done to the stock.
type Action uint8

const (
	// Deduct takes every line of the request, or nothing at all.
	Deduct Action = iota + 1
	// Release gives back what was deducted for the same order. Its own lines
	// are ignored: what was taken is what is given back.
	Release
)

// Origin is the place of the event in the log that first asked for the
// change. It is kept with the order so that a redelivery can be told from a
// second event, and so that every row leads back to its message.
type Origin struct {
	Topic     string
	Partition int
	Offset    int64
}

// Request is what one order event asks of the stock.
type Request struct {
	// Order is the reference under which the change is made at most once.
	Order string
	// Action is Deduct or Release.
	Action Action
	// Lines are sorted by goods, each goods once, every Num at least one.
	Lines []Line
	// Origin is where the event stands in the log.
	Origin Origin
	// Attempt counts from one; it is more when the event came through retry
	// topics.
	Attempt int
}

// State is what an order has come to. An order has exactly one.
type State string

const (
	// Deducted: every line was taken.
	Deducted State = "deducted"
	// Rejected: something was short, nothing was taken.
	Rejected State = "rejected"
	// Released: what was taken has been given back.
	Released State = "released"
	// Voided: cancelled before anything was deducted; a deduction that comes
	// later takes nothing.
	Voided State = "voided"
)

// Shortage is a goods of which a rejected order wanted more than there was.
type Shortage struct {
	Goods     string
	Wanted    int64
	Available int64
}

// Record is what the ledger keeps about one order.
type Record struct {
	Order     string
	State     State
	Lines     []Line     // what was asked for; nil for an order voided before it came
	Shortages []Shortage // why it was rejected
	Origin    Origin
	Attempts  int
	// DecidedAt is when the state was first decided, ReleasedAt when it became
	// Released (zero otherwise). Both are UTC in whole milliseconds, the
	// precision the database keeps, so that an outcome built from a record read
	// back equals the one built when it was written.
	DecidedAt  time.Time
	ReleasedAt time.Time
}

// Verdict says what a request came to.
type Verdict uint8

const (
	// Applied: the request changed the ledger; Record is the order's new row.
	Applied Verdict = iota + 1
	// Known: the ledger already held the answer; Record is the standing row.
	Known
	// Conflict: the order is known with other content; nothing was changed.
	Conflict
	// UnknownGoods: some goods are not in the catalogue; nothing was changed.
	UnknownGoods
)

// Decision answers one request.
type Decision struct {
	Verdict Verdict
	Record  Record   // set for Applied, Known and Conflict
	Unknown []string // set for UnknownGoods: the goods that are missing, sorted
}

// Kind is the reason of a movement.
type Kind string

const (
	// KindDeduct is an order's deduction.
	KindDeduct Kind = "deduct"
	// KindRelease is an order's deduction given back.
	KindRelease Kind = "release"
	// KindRestock is goods that came in.
	KindRestock Kind = "restock"
	// KindCorrect is a level set by hand.
	KindCorrect Kind = "correct"
	// KindCarry is the sum of the movements of orders that are remembered no more.
	// There is one of each goods at most, under CarriedRef.
	KindCarry Kind = "carry"
)

// CarriedRef is the reference of every movement of KindCarry. An order may have
// the same name: movements of an order are of other kinds.
const CarriedRef = "carried"

// Movement is one change of one goods' level. Movements are never changed, and
// never removed but together with their order when that is older than the dedup
// horizon; then KindCarry takes their place. Only where somebody has changed them
// behind the ledger's back, its mending changes them again. Their sum is the level,
// always.
type Movement struct {
	Ref     string // the order, or the restock's or correction's own id
	Goods   string
	Kind    Kind
	Delta   int64 // zero only for a correction that found the level right
	Balance int64 // the level after this movement
	At      time.Time
}

// Level is how much of one goods is available.
type Level struct {
	Goods     string
	Available int64
	UpdatedAt time.Time
	// Version grows by one with each transaction that changes the level, and is 1
	// when the goods is new. Of two levels of one goods the one of the higher
	// version is the later one; times are too coarse to tell.
	Version int64
}
