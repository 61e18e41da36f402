package bench

import (
	"context"
	"time"
)

const (
	// idleLook is how long the servers are looked at.
	idleLook = 250 * time.Millisecond
	// idleShare is the share of one processor below which they are idle. A
	// broker's housekeeping is about a fiftieth.
	idleShare = 0.1
	// idlePatience bounds the wait: a server that others use is never idle.
	idlePatience = 5 * time.Second
)

// awaitIdle waits until the servers are done with what came before: a dropped
// database and deleted topics are cleared away after their drop and deletion
// have been answered, and the next measurement would pay for it. Where the
// servers' time cannot be read it does not wait.
func (w *World) awaitIdle(ctx context.Context) {
	busy := func() time.Duration {
		return processTime(w.processes.Database) + processTime(w.processes.Broker)
	}
	tick := time.NewTicker(idleLook)
	defer tick.Stop()
	before := busy()
	for deadline := time.Now().Add(idlePatience); time.Now().Before(deadline); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := busy()
		if now-before < time.Duration(float64(idleLook)*idleShare) {
			return
		}
		before = now
	}
}
