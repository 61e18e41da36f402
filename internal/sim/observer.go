package sim

import (
	"time"

	"orderconsumer/internal/order"
)

// observer notes which paths an instance takes. It implements order.Observer and
// kafka.Observer.
type observer struct{ instance *instance }

func (i *instance) observer() observer { return observer{i} }

func (o observer) mark(name string) { o.instance.world.reached.mark(name) }

// Settled implements order.Observer.
func (o observer) Settled(s order.Settlement) {
	switch s.Outcome {
	case order.SettledRetried, order.SettledDead:
		o.mark(s.Outcome + " " + s.Code)
	default:
		o.mark("settled " + s.Outcome)
	}
	o.instance.world.settled(o.instance, s)
}

// Applied implements order.Observer.
func (o observer) Applied(int, time.Duration) {}

// Retried implements order.Observer.
func (o observer) Retried(reason string) { o.mark("again " + reason) }

// LockWaited implements order.Observer.
func (o observer) LockWaited(time.Duration) {}

// LockHeld implements order.Observer.
func (o observer) LockHeld(time.Duration) {}

// LockFailed implements order.Observer.
func (o observer) LockFailed(reason string) { o.mark("lock " + reason) }

// InFlight implements order.Observer.
func (o observer) InFlight(int) {}

// Busy implements order.Observer.
func (o observer) Busy(int) {}

// Paused implements order.Observer.
func (o observer) Paused(dependency string, err error) {
	if err != nil {
		o.mark("paused " + dependency)
	}
}

// Sent implements kafka.SendObserver.
func (o observer) Sent(_ string, _ int, err error) {
	if err != nil {
		o.mark("publication not confirmed")
	}
}

// Consumed implements kafka.Observer.
func (o observer) Consumed(string, int, int) {}

// Assigned implements kafka.Observer.
func (o observer) Assigned(string, int) {}

// Rebalanced implements kafka.Observer.
func (o observer) Rebalanced() { o.mark("generation") }

// CommitFailed implements kafka.Observer.
func (o observer) CommitFailed() { o.mark("commit failed") }

// LostToRetention implements kafka.Observer.
func (o observer) LostToRetention(n int64) {
	if o.instance.world.retention.removed.Load() > 0 {
		o.instance.world.retention.told.Add(n)
		return
	}
	o.instance.world.wrong("%s lost %d messages to retention, and nothing was removed", o.instance.name, n)
}

// Joined implements kafka.Observer.
func (o observer) Joined(bool) {}

// Unsettled implements kafka.Observer.
func (o observer) Unsettled(string, int, time.Time) {}

// OldestInFlight implements kafka.Observer.
func (o observer) OldestInFlight(time.Time) {}
