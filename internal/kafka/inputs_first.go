package kafka

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// inputsFirstFor is the longest time for which a retry tier's partition waits for those
// of the input, once in a generation.
const inputsFirstFor = 2 * time.Second

// inputsFirst lets a member that has just been given its partitions begin with those of
// the input. Beginning with one costs a look at its bounds. With three tiers to an input
// and all of them at once, an input's partition that a dead member has left would wait for
// three others, whose messages wait for seconds anyway.
type inputsFirst struct {
	waiting atomic.Int32
	begun   chan struct{} // closed when every partition of the input has begun
}

// newInputsFirst is for so many partitions of the input.
func newInputsFirst(inputs int) *inputsFirst {
	f := &inputsFirst{begun: make(chan struct{})}
	f.waiting.Store(int32(inputs))
	if inputs == 0 {
		close(f.begun)
	}
	return f
}

// one returns what one partition of the input calls when it knows where to begin, or has
// given it up; only the first call of it counts.
func (f *inputsFirst) one() func() {
	return sync.OnceFunc(func() {
		if f.waiting.Add(-1) == 0 {
			close(f.begun)
		}
	})
}

// wait returns when the input's partitions have begun, or have had the time for it: one
// whose leader is away keeps no tier from being read. It fails when ctx ends first.
func (f *inputsFirst) wait(ctx context.Context) error {
	late := time.NewTimer(inputsFirstFor)
	defer late.Stop()
	select {
	case <-f.begun:
		return nil
	case <-late.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
