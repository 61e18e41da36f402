package app

import (
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/stock/ledger"
)

const (
	// filesAside are those that have nothing to do with partitions, the database or Redis: the
	// standard streams, the poller, HTTP, the group's coordinator, what is published and
	// asked of the brokers, and room for those that are made anew before the old ones have gone.
	filesAside = 20
	// redisConns are about as many as an instance has to each Redis, of the lock's and of
	// the cache's clients each, and redisConnsFew as many as it may have where files are few:
	// commands take turns then, which take a millisecond.
	redisConns    = 12
	redisConnsFew = 4
	// filesLeast let one partition, one transaction and one lock be worked with.
	filesLeast = 24
	// filesMany is a limit that nothing can come up against: a member cannot be given that
	// many partitions.
	filesMany = 1 << 20
)

// files is how those that this process may have open are shared out. Connections are
// files, and partitions must leave some to what becomes of their messages.
type files struct {
	partitions int // that are read at a time; 0: all
	redis      int // connections to each Redis, for the lock and for the cache; 0: what the client keeps by itself
}

// filesWanted are about as many as an instance has open that has all partitions to
// itself.
func (s ConsumerSettings) filesWanted() int {
	return s.Topics.Partitions*len(s.Group.topics().Consumed()) + s.filesBeside(redisConns)
}

// filesBeside are those beside the partitions'.
func (s ConsumerSettings) filesBeside(toEachRedis int) int {
	const subscription = 1 // who waits for goods is told over it
	n := filesAside + kafka.LooksAtOnce + ledger.ConnsFor(s.Flow.Workers)
	if s.Lock.Mode != lockOff {
		n += len(s.Redis.URLs) * (toEachRedis + subscription)
	}
	if s.Cache.Mode != cacheOff {
		n += toEachRedis
	}
	return n
}

// shareFiles shares out so many.
func (s ConsumerSettings) shareFiles(limit uint64, known bool) files {
	if !known || limit >= filesMany {
		return files{}
	}
	most := int(limit)
	if left := most - s.filesBeside(redisConns); most >= s.filesWanted() {
		return files{partitions: left}
	}
	left := most - s.filesBeside(redisConnsFew)
	return files{partitions: max(1, left), redis: redisConnsFew}
}
