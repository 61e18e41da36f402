package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderconsumer/internal/stock"
)

// Store keeps entries where all instances see them. It may lose any of them at
// any time. An error means that it cannot be used just now.
//
// Each of its operations is one round trip, however many goods it is about.
type Store interface {
	// Read returns the entries of the goods, in their order, and nil for those that
	// have none.
	Read(ctx context.Context, goods []string) ([]*Entry, error)
	// Begin returns the entries there are, by goods, to a rebuild that is about to
	// ask the database. Where there is
	// no entry it leaves token, so that Fill can tell that nothing has happened to
	// the goods since. The caller holds the lock on the goods.
	Begin(ctx context.Context, token string, goods []string) (map[string]Entry, error)
	// Fill keeps what the rebuild that began with token has read, each where its
	// token or an entry of no higher version still stands, and returns the entries
	// that stand where it is otherwise. The entries' Age is since they were read.
	Fill(ctx context.Context, token string, entries []Entry) (newer map[string]Entry, err error)
	// Refresh writes levels over entries of no higher version and over tokens, and
	// drops what there is of goods whose level has version 0. Where there is
	// nothing it leaves nothing: nobody asks for it.
	Refresh(ctx context.Context, entries []Entry) error
	// Lock takes the lock on rebuilding all of the goods, and waits for it until
	// ctx ends. The error is a *TakenError when somebody else held it.
	Lock(ctx context.Context, goods []string) (unlock func(context.Context), err error)
}

// TakenError says whose rebuild somebody else is at.
type TakenError struct{ Goods string }

// Error implements error.
func (e *TakenError) Error() string {
	return fmt.Sprintf("goods %q are being rebuilt by another", e.Goods)
}

// Source is where levels come from.
type Source interface {
	// Levels returns the levels of the given goods, by goods; those that are not in
	// the catalogue are left out.
	Levels(ctx context.Context, goods []string) (map[string]stock.Level, error)
}

// Observer is told what the cache does. Its methods are called from many
// goroutines and must not block.
type Observer interface {
	// CacheLookups counts questions for one goods by how they were answered: one of
	// the Lookup constants.
	CacheLookups(result string, n int)
	// CacheRebuilt reports one reading of the database: for how many goods, how long
	// it took, and whether it failed.
	CacheRebuilt(goods int, took time.Duration, err error)
	// CacheRefreshed reports that the levels of commits have been written over the
	// entries there were, how many and how long after the oldest of the commits.
	CacheRefreshed(goods int, lag time.Duration)
	// CacheRefreshLost counts levels that were committed and could not be remembered
	// until the store was back: their entries end by themselves.
	CacheRefreshLost(goods int)
	// CacheStore reports that the store does not answer (err says why), or answers
	// again (err is nil).
	CacheStore(err error)
}

// How a question for one goods was answered.
const (
	LookupHit      = "hit"      // from a fresh entry
	LookupUnknown  = "unknown"  // from an entry that says that there are no such goods
	LookupStale    = "stale"    // from an entry past its lifetime
	LookupRebuilt  = "rebuilt"  // after waiting for the database
	LookupDatabase = "database" // from the database, because the store is away or there is none
	LookupRefused  = "refused"  // not at all
)

// errNoStore: the cache is off.
var errNoStore = errors.New("no store")

// errShut: the store failed a moment ago and is left alone.
var errShut = errors.New("store does not answer")
