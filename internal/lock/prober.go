package lock

import (
	"context"
	"time"
)

// The pauses between two probes of a server that is down double from the first
// to the last: a restarted Redis is back in use at once, and one that is gone
// for good costs ten packets a second.
const (
	firstProbePause = 10 * time.Millisecond
	lastProbePause  = 100 * time.Millisecond
)

// probe tries the server until it answers and its leftovers are gone, then
// declares it up.
func (n *node) probe() {
	pause := firstProbePause
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-timer.C:
		}
		if n.ping(n.ctx) == nil && n.sweep() {
			return
		}
		timer.Reset(pause)
		pause = min(2*pause, lastProbePause)
	}
}

// sweep releases the leftovers and, when there are none any more, declares the
// server up. It returns false when the server went away again.
//
// Up comes last: were it declared before, a waiter could find the names taken
// by the leftover of its own failed try.
func (n *node) sweep() bool {
	for {
		n.mu.Lock()
		if len(n.leftovers) == 0 {
			n.down = nil
			close(n.up)
			n.mu.Unlock()
			return true
		}
		left := n.leftovers[0]
		n.mu.Unlock()

		ctx, cancel := context.WithTimeout(n.ctx, n.tryTimeout)
		_, err := newCall(left.keys).run(ctx, n.client, n.scripts.release, left.value)
		cancel()
		if err != nil && !isReply(err) {
			return false
		}
		// A refusal will not change by asking again: the expiry does the rest.
		n.mu.Lock()
		n.leftovers = n.leftovers[1:] // only the prober takes any out
		n.mu.Unlock()
	}
}
