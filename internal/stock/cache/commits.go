package cache

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"orderconsumer/internal/stock"
)

const (
	// refreshMost is the most levels of one write to the store.
	refreshMost = 500
	// maxCommitted is the most levels that wait for the store: some seconds' worth
	// while it is away. What is more ends by its lifetime.
	maxCommitted = 50_000
	// lastRefresh is how long the last write may take when the process ends.
	lastRefresh = time.Second
)

// commits are levels that were committed and not yet written to the store.
type commits struct {
	mu      sync.Mutex
	arrived []committed
	goods   int           // in arrived
	wake    chan struct{} // holds one when something has arrived

	pending map[string]commit // by goods; Run's alone
}

// committed are the levels of one commit.
type committed struct {
	levels []stock.Level
	at     time.Time
}

// commit is a level, when it was committed, and since when its goods wait.
type commit struct {
	level     stock.Level
	at, since time.Time
}

// Changed has the entries of these levels refreshed: they have just been
// committed, or, where the version is 0, may have been. The levels are the
// cache's from now on. It takes the time of an append, whatever the store does.
func (c *Cache) Changed(levels []stock.Level) {
	if c.deps.Store == nil {
		return
	}
	q := &c.commits
	q.mu.Lock()
	room := q.goods+len(levels) <= maxCommitted
	if room {
		q.arrived = append(q.arrived, committed{levels, time.Now()})
		q.goods += len(levels)
	}
	q.mu.Unlock()
	if !room {
		c.deps.Observer.CacheRefreshLost(len(levels))
		return
	}
	select {
	case q.wake <- struct{}{}:
	default: // it has been told already
	}
}

// Run writes what Changed is told to the store, until ctx ends, and then once
// more. What is told while the store is being written to goes together the next
// time.
func (c *Cache) Run(ctx context.Context) {
	for {
		select {
		case <-c.commits.wake:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRefresh)
			defer cancel()
			c.refresh(last)
			return
		}
		for !c.refresh(ctx) {
			select {
			case <-time.After(shutFor):
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
		}
	}
}

// refresh writes what is pending and reports whether nothing is left.
func (c *Cache) refresh(ctx context.Context) bool {
	q := &c.commits
	c.gather()
	for len(q.pending) > 0 {
		probe, err := c.gate.enter()
		if err != nil {
			return false
		}
		entries := make([]Entry, 0, min(len(q.pending), refreshMost))
		oldest := time.Now()
		for _, p := range q.pending {
			entries = append(entries, Entry{
				Level: p.level, Age: time.Since(p.at), Life: lifetime(c.cfg.TTL, rand.Float64()),
			})
			if p.since.Before(oldest) {
				oldest = p.since
			}
			if len(entries) == refreshMost {
				break
			}
		}
		if c.gate.passed(ctx, probe, c.deps.Store.Refresh(ctx, entries)) != nil {
			return false
		}
		for i := range entries {
			delete(q.pending, entries[i].Level.Goods)
		}
		c.deps.Observer.CacheRefreshed(len(entries), time.Since(oldest))
	}
	return true
}

// gather makes what has arrived pending: of each goods its latest level. One
// that may or may not have been committed stands for all others: its entry has
// to go, whatever came after it.
func (c *Cache) gather() {
	q := &c.commits
	q.mu.Lock()
	arrived := q.arrived
	q.arrived, q.goods = nil, 0
	q.mu.Unlock()
	lost := 0
	for _, a := range arrived {
		for _, level := range a.levels {
			p, ok := q.pending[level.Goods]
			switch {
			case !ok && len(q.pending) >= maxCommitted:
				lost++
			case !ok:
				q.pending[level.Goods] = commit{level, a.at, a.at}
			case p.level.Version != 0 && (level.Version == 0 || level.Version > p.level.Version):
				q.pending[level.Goods] = commit{level, a.at, p.since}
			}
		}
	}
	if lost > 0 {
		c.deps.Observer.CacheRefreshLost(lost)
	}
}
