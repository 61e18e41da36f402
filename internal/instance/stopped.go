package instance

import (
	"context"
	"time"
)

// stoppedEvery is how often an instance that has stopped says so.
const stoppedEvery = time.Minute

// stoppedBy is what stands still work is put down to in metrics and readiness, beside the
// dependencies.
const stoppedBy = "dead_letters"

// stayStopped waits for the end of take: somebody has to look first. The partitions
// belong to others by now, and those find out for themselves.
func (i *Instance) stayStopped(take context.Context, why error) {
	i.observer.left(i.Consumed())
	i.observer.flushDead()
	i.metrics.Paused(stoppedBy, why)
	i.health.Paused(stoppedBy, why)
	tick := time.NewTicker(stoppedEvery)
	defer tick.Stop()
	for {
		i.log.Error("stopped, and out of the group, until it is restarted", "error", why,
			"fix", "look at the newest messages of "+i.settings.Group.Topics().Dead+": their headers say why; then restart, with a higher --max-dead-ratio only if they are as expected")
		select {
		case <-tick.C:
		case <-take.Done():
			return
		}
	}
}
