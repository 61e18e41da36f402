package settings

import (
	"orderconsumer/internal/stock/ledger"
)

const (
	// filesAside are those that have nothing to do with the database or Redis: the standard
	// streams, the poller, HTTP, four or five connections to each of three brokers (what is read, what
	// is published, by two at a time, and what is asked now and then), the group's coordinator,
	// and room for those that are made anew before the old ones have gone.
	filesAside = 24
	// redisConns are about as many as an instance has to each Redis, of the lock's and of
	// the cache's clients each, and redisConnsFew as many as it may have where files are few:
	// commands take turns then, which take a millisecond.
	redisConns    = 12
	redisConnsFew = 4
	// FilesLeast let one transaction and one lock be worked with.
	FilesLeast = 24
)

// FilesWanted are about as many files as an instance has open; connections are files.
func (s Consumer) FilesWanted() int {
	const subscription = 1 // who waits for goods is told over it
	n := filesAside + ledger.ConnsFor(s.Flow.Workers)
	if s.Lock.Mode != LockOff {
		n += len(s.Redis.URLs) * (redisConns + subscription)
	}
	if s.Cache.Mode != CacheOff {
		n += redisConns
	}
	return n
}

// RedisPool is how many connections the lock and the cache may have to each Redis, where
// so many files may be open; 0: what the client keeps by itself.
func (s Consumer) RedisPool(limit uint64, known bool) int {
	if !known || limit >= uint64(s.FilesWanted()) { //nolint:gosec // a small number
		return 0
	}
	return redisConnsFew
}
