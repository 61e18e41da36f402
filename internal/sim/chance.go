package sim

import (
	"math/rand/v2"
	"sync"
	"time"
)

// chance is dice that many goroutines throw. Which of them gets which number is
// up to the runtime.
type chance struct {
	mu   sync.Mutex
	dice *rand.Rand
}

func newChance(seed, stream uint64) *chance {
	return &chance{dice: rand.New(rand.NewPCG(seed, stream))}
}

// hits is true with the given probability.
func (c *chance) hits(probability float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dice.Float64() < probability
}

// upTo is a duration below most, zero for none.
func (c *chance) upTo(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.dice.Int64N(int64(most)))
}
