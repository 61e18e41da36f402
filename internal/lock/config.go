package lock

import (
	"fmt"
	"time"
)

const (
	// DefaultPrefix is what the keys of goods begin with. The part in braces is
	// a hash tag: on a Redis Cluster it puts all keys into one slot, without
	// which no script may touch them together.
	DefaultPrefix = "lock:{goods}:"

	// DefaultExpiry is how long a lock outlives a holder that died. It is
	// several times a transaction, so that a slow one is extended and not lost,
	// and short, because it is also how long a dead holder keeps others out.
	DefaultExpiry = 3 * time.Second

	// DefaultTryTimeout bounds one Redis operation. A healthy one takes less
	// than a millisecond; a tenth of the expiry still leaves time to extend.
	DefaultTryTimeout = 300 * time.Millisecond

	// DefaultPollMin is the shortest pause between two looks at a taken key: well
	// above the cost of a look.
	DefaultPollMin = time.Millisecond

	// DefaultPollMax is the longest pause between two looks at a taken key: well
	// below the time a set is held.
	DefaultPollMax = 5 * time.Millisecond

	// minExpiry keeps the whole milliseconds Redis counts in from being most of
	// an expiry.
	minExpiry = 10 * time.Millisecond

	// driftFactor is the share of the expiry by which the clocks of holder and
	// server may disagree; a lease is given up that much before it ends.
	driftFactor = 0.01

	// MaxNames bounds a set. Redis serves nobody else while a script runs, and one
	// over this many keys runs for 15 to 60 ms; with five times as many it runs
	// into DefaultTryTimeout on a busy machine, every time it is tried.
	MaxNames = 10_000
)

// Config says how names are locked. The zero value is ready to use.
type Config struct {
	// Prefix is put before each name to make its key. Two Lockers exclude each
	// other only if they have the same prefix. On a Redis Cluster it must hold a
	// hash tag. Default DefaultPrefix.
	Prefix string

	// Expiry is how long a lock lasts unless it is extended, in whole
	// milliseconds. Default DefaultExpiry.
	Expiry time.Duration

	// ExtendEvery is how long after it was last set a held lock is extended by
	// another Expiry. A negative value never extends: the lease is lost after
	// Expiry. Default a third of Expiry.
	ExtendEvery time.Duration

	// TryTimeout is the deadline of one Redis operation, connecting included,
	// and so about how long an unreachable Redis can keep Lock busy. Default
	// DefaultTryTimeout, or a third of Expiry if that is less.
	TryTimeout time.Duration

	// PollMin is the shortest pause between two looks at a taken key. Default
	// DefaultPollMin.
	PollMin time.Duration

	// PollMax is the longest pause between two looks at a taken key, at least
	// twice PollMin. Default DefaultPollMax.
	PollMax time.Duration
}

// withDefaults fills in what is not set and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	orDefault := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	orDefault(&c.Expiry, DefaultExpiry)
	orDefault(&c.ExtendEvery, c.Expiry/3)
	orDefault(&c.TryTimeout, min(DefaultTryTimeout, c.Expiry/3))
	orDefault(&c.PollMin, DefaultPollMin)
	orDefault(&c.PollMax, max(DefaultPollMax, 2*c.PollMin))

	switch {
	case c.Expiry < minExpiry || c.Expiry%time.Millisecond != 0:
		return c, fmt.Errorf("lock expiry %v: want whole milliseconds, at least %v", c.Expiry, minExpiry)
	case c.TryTimeout < 0 || c.TryTimeout >= c.validity():
		return c, fmt.Errorf("lock try timeout %v: want less than the expiry of %v", c.TryTimeout, c.Expiry)
	case c.ExtendEvery+c.TryTimeout >= c.validity():
		// The answer to the extension would come when the lock may have expired.
		return c, fmt.Errorf("lock extended every %v with a try timeout of %v: want the sum below the expiry of %v",
			c.ExtendEvery, c.TryTimeout, c.Expiry)
	case c.PollMin < 0 || c.PollMax < 2*c.PollMin:
		return c, fmt.Errorf("lock poll pauses %v to %v: want the longest at least twice the shortest", c.PollMin, c.PollMax)
	}
	return c, nil
}

// validity is how long after setting it a lock is relied on.
func (c Config) validity() time.Duration {
	return c.Expiry - time.Duration(float64(c.Expiry)*driftFactor)
}
