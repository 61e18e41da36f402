package order

import (
	"context"
	"math/rand/v2"
	"time"
)

// Bounds of the wait between two tries in place. The first is short because a
// deadlock's other party is gone at once; the last keeps a database that comes
// back from being met by every worker of a fleet in the same instant, and is
// well under the five seconds in which work must be going again.
const (
	backoffFirst = 5 * time.Millisecond
	backoffLast  = 2 * time.Second
)

// backoff is how long to wait before try n+1, n counted from one: doubled each
// time, bounded, and half of it left to chance. It is a pure function of n and
// chance (0 <= chance < 1), so that reporting a wait does not change the next.
func backoff(n int, chance float64) time.Duration {
	const doublings = 9 // 5 ms * 2^9 > 2 s
	full := min(backoffFirst<<min(max(n, 1)-1, doublings), backoffLast)
	return full/2 + time.Duration(chance*float64(full/2))
}

// rest waits before try n+1, or until ctx ends.
func rest(ctx context.Context, n int) error { return pause(ctx, backoff(n, rand.Float64())) }

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
