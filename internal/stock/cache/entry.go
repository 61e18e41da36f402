package cache

import (
	"math"
	"time"

	"orderconsumer/internal/stock"
)

// Entry is what is known about one goods.
type Entry struct {
	// Level is the level; of an unknown goods only its id is set.
	Level stock.Level
	// Unknown: the catalogue did not have the goods.
	Unknown bool
	// ReadAt is the moment the database was asked, in microseconds of the store's
	// clock. Of two entries the one that was read later is the newer answer.
	ReadAt int64
	// Age is how long ago that was when the entry was taken from the store.
	Age time.Duration
	// Life is the age up to which the entry is fresh.
	Life time.Duration
	// Cost is how long a rebuild of the entry takes.
	Cost time.Duration
}

// fresh reports whether the entry may be shown without asking anybody.
func (e *Entry) fresh() bool { return e.Age < e.Life }

// early reports whether the question that chance belongs to, a number in (0, 1],
// should have a fresh entry rebuilt before its time: the more likely, the nearer
// the end is in terms of what a rebuild takes. Among many questions for one
// goods one comes upon it just early enough, without anybody having agreed on
// anything; goods that are hardly asked for are left alone.
//
// The rule, with its beta at 1, and that it is the best one are from Vattani,
// Chierichetti, Lowenstein: "Optimal Probabilistic Cache Stampede Prevention",
// PVLDB 8(8), 2015.
func (e *Entry) early(chance float64) bool {
	ahead := time.Duration(float64(e.Cost) * -math.Log(chance))
	return e.Age+ahead >= e.Life
}

// lifetime is how long an entry made now is fresh. Entries made together must
// not end together. The lifetime is only ever made shorter, so that the setting
// stays the bound it is documented to be.
func lifetime(ttl time.Duration, chance float64) time.Duration {
	return ttl - time.Duration(float64(ttl)*jitter*chance)
}

// jitter is the share of the lifetime by which entries differ: entries made in
// the same moment end over a fifth of it.
const jitter = 0.2
