package order

import (
	"fmt"
	"sync"
)

// BreakerConfig says when so many events would be dead-lettered that it is
// better to stop: a bad deploy must not empty the topic into the dead letters.
type BreakerConfig struct {
	// Window is the number of newest events that are looked at.
	Window int
	// MinDead is the fewest dead letters in the window that can stop the flow.
	MinDead int
	// MaxRatio is the share of the window (0 to 1) that may be dead letters.
	// Zero switches the breaker off.
	MaxRatio float64
}

// Breaker looks at the newest ends of events. It is asked before a batch's
// dead letters are published, because they cannot be taken back. It outlives
// flows: one that began anew with each rebalance would let some more dead letters
// through with each, and the stop of one instance is a rebalance for the others.
type Breaker struct {
	cfg   BreakerConfig
	mu    sync.Mutex
	ring  []bool // true: dead
	next  int
	count int // of ring that is used
	dead  int // of ring that is true
}

// NewBreaker returns a breaker that has seen nothing yet.
func NewBreaker(cfg BreakerConfig) *Breaker {
	return &Breaker{cfg: cfg, ring: make([]bool, max(cfg.Window, 1))}
}

// verdict is what the breaker is told of an event that has its end.
type verdict struct {
	dead   bool
	usable bool // it could be used, whatever became of it
}

// admit notes the ends of a batch's events and returns ErrTooManyDead when
// they are too many dead letters. waiting is how many events have been read that can
// be used and have no end yet, those of the batch among them. While the window is not full
// they count as well: what cannot be used has its end at once, what can be waits for its
// goods, so that the first ends of an instance that begins beside others are mostly dead
// letters.
func (b *Breaker) admit(ends []verdict, waiting int) error {
	if b == nil || b.cfg.MaxRatio == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, end := range ends {
		b.note(end.dead)
		if end.usable {
			waiting--
		}
		seen := min(b.count+max(waiting, 0), max(len(b.ring), b.count))
		ratio := float64(b.dead) / float64(seen)
		if b.dead >= b.cfg.MinDead && ratio > b.cfg.MaxRatio {
			return fmt.Errorf("%w: %d of the newest %d events (limit %.0f %%)",
				ErrTooManyDead, b.dead, seen, b.cfg.MaxRatio*100)
		}
	}
	return nil
}

// left notes events that can be used and are left to whoever reads them next: a flow has
// ended. What cannot be used was not left, and without the others the next flow would
// begin with a window of dead letters.
func (b *Breaker) left(waiting int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for range min(waiting, len(b.ring)) {
		b.note(false)
	}
}

func (b *Breaker) note(dead bool) {
	if b.count < len(b.ring) {
		b.count++
	} else if b.ring[b.next] {
		b.dead--
	}
	b.ring[b.next] = dead
	if dead {
		b.dead++
	}
	b.next = (b.next + 1) % len(b.ring)
}
