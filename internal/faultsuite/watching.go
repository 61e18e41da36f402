package faultsuite

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// watching looks at the group beside everything else.
type watching struct {
	stop context.CancelFunc
	done sync.WaitGroup

	rewinds int
	pause   time.Duration
}

// watchEvery is how often.
const watchEvery = 200 * time.Millisecond

// watch counts committed offsets that go backwards, and how long no outcome
// comes while orders do.
func (a *act) watch(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	w := &watching{stop: stop}
	a.watching = w
	w.done.Go(func() {
		highest := make(map[string]int64)
		outcomes, moved := int64(-1), time.Now()
		for rest(ctx, watchEvery) {
			positions, err := a.place.Client.Positions(ctx, a.place.Group, a.place.Topics.Consumed())
			if err != nil {
				continue
			}
			lag := int64(0)
			for _, p := range positions {
				lag += p.Lag()
				key := fmt.Sprintf("%s/%d", p.Topic, p.Partition)
				if p.Committed < highest[key] && p.Committed >= 0 {
					w.rewinds++
				}
				highest[key] = p.Committed
			}
			n, err := a.place.Outcomes(ctx)
			if err != nil {
				continue
			}
			if n != outcomes || lag == 0 {
				outcomes, moved = n, time.Now()
			}
			w.pause = max(w.pause, time.Since(moved))
		}
	})
}

func (w *watching) end(r *Result) {
	if w == nil {
		return
	}
	w.stop()
	w.done.Wait()
	if r != nil {
		r.Rewinds, r.Pause = w.rewinds, w.pause
	}
}
