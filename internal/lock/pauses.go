package lock

import (
	"context"
	"math/rand/v2"
	"time"
)

// pauseGrowth is by how much each pause's range lies above the one before: slow,
// so that those who have waited long do not fall far behind those who come.
const pauseGrowth = 1.0 / 16

// pauses are the pauses of one waiter between two looks at a taken key.
type pauses struct {
	base, max time.Duration
	timer     *time.Timer // nil before the first pause
}

func newPauses(shortest, longest time.Duration) *pauses {
	return &pauses{base: shortest, max: longest}
}

// next waits for the next pause, and returns false if ctx has ended.
func (p *pauses) next(ctx context.Context) bool {
	var pause time.Duration
	pause, p.base = nextPause(p.base, p.max, rand.Float64())
	if p.timer == nil {
		p.timer = time.NewTimer(pause)
	} else {
		p.timer.Reset(pause)
	}
	select {
	case <-p.timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stop gives the timer back.
func (p *pauses) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// nextPause returns a pause from base up to twice base, by chance (from 0 up to
// 1), and the next base. Waiters of one key must not look in step: all would
// miss a release together and then meet in the same try.
func nextPause(base, longest time.Duration, chance float64) (pause, next time.Duration) {
	pause = base + time.Duration(chance*float64(base))
	next = min(base+time.Duration(pauseGrowth*float64(base)), longest/2)
	return pause, next
}
