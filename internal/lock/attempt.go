package lock

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
)

// attempt is one call of Lock: a mutex over a set and what the servers last
// said about it. One goroutine owns it.
type attempt struct {
	mutex  *redsync.Mutex
	pools  []*setPool // one for each server
	quorum int
	prefix string

	// blocker is where the last try found the set taken; nil if nowhere.
	blocker *setPool
}

func (l *Locker) newAttempt(names []string) *attempt {
	keys := makeKeys(l.cfg.Prefix, names)
	a := &attempt{quorum: l.quorum(), prefix: l.cfg.Prefix, pools: make([]*setPool, len(l.nodes))}
	pools := make([]redsyncredis.Pool, len(l.nodes))
	for i, n := range l.nodes {
		a.pools[i] = &setPool{node: n, keys: keys, call: newCall(keys)}
		pools[i] = a.pools[i]
	}
	a.mutex = redsync.New(pools...).NewMutex(keys[0], l.options...)
	return a
}

// makeKeys puts prefix before each name. All keys share one allocation.
func makeKeys(prefix string, names []string) []string {
	size := len(prefix) * len(names)
	for _, name := range names {
		size += len(name)
	}
	var all strings.Builder
	all.Grow(size)
	for _, name := range names {
		all.WriteString(prefix)
		all.WriteString(name)
	}
	keys, rest := make([]string, len(names)), all.String()
	for i, name := range names {
		end := len(prefix) + len(name)
		keys[i], rest = rest[:end], rest[end:]
	}
	return keys
}

// try tries the set once. It returns nil, a *TakenError or ErrUnavailable; a
// minority of servers that granted the set has been released then.
//
// The servers are asked under a context that cancellation does not reach: an
// answer that nobody reads may be a set that nobody releases.
func (a *attempt) try(ctx context.Context) error {
	err := a.mutex.TryLockContext(context.WithoutCancel(ctx))
	if err == nil {
		return nil
	}
	var causes []error
	a.blocker = nil
	for _, p := range a.pools {
		switch {
		case p.err != nil:
			causes = append(causes, p.err)
		case p.first != acquired && a.blocker == nil:
			a.blocker = p
		}
	}
	answered := len(a.pools) - len(causes)
	if answered < a.quorum {
		return unavailable(answered, len(a.pools), causes)
	}
	if a.blocker == nil {
		// Granted, but so late that the lock may be about to expire.
		return fmt.Errorf("%w: too slow: %w", ErrUnavailable, err)
	}
	return &TakenError{Name: strings.TrimPrefix(a.blocker.keys[a.blocker.first-1], a.prefix)}
}

// waitFree returns when the key that stood in the way is gone, when it cannot
// be looked at, or when ctx has ended; the next try tells which.
func (a *attempt) waitFree(ctx context.Context, pauses *pauses) {
	for pauses.next(ctx) {
		taken, err := a.blocker.taken(context.WithoutCancel(ctx))
		if err != nil || !taken {
			return
		}
	}
}
