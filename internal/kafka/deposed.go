package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// deposedEvery is how often it is looked whether the broker that an answer is waited for
// still leads the partitions. The look costs nothing: the client knows.
const deposedEvery = 500 * time.Millisecond

// errDeposed ends the wait for the answer of a broker that leads none of the partitions any
// more.
var errDeposed = errors.New("the partitions have another leader now, and the one before has not answered")

// watchLeader calls end when other brokers lead all of the partitions than when it was
// called, until ctx ends. A broker that hangs would be waited for until the whole time of a
// request is over, and again by the next try, where the client has not heard of the new
// leader by then. What the deposed one still does with the request is of no consequence: it
// cannot confirm it. One that still leads a partition can, and is waited for.
func (c *Client) watchLeader(ctx context.Context, partitions map[string][]int, end context.CancelCauseFunc) (stop func() bool) {
	topics := slices.Collect(maps.Keys(partitions))
	before, err := c.leaders(ctx, topics)
	if err != nil {
		return func() bool { return true } // the request will say so
	}
	return c.whenMoved(ctx, deposedEvery, func() bool {
		now, err := c.leaders(ctx, topics)
		return err == nil && allMoved(partitions, before, now)
	}, end)
}

// watchBroker is watchLeader for one broker that leads all of the partitions, and may wait
// before it answers.
func (c *Client) watchBroker(ctx context.Context, broker int32, wait time.Duration, partitions func() map[string][]int, end context.CancelCauseFunc) (stop func() bool) {
	return c.whenMoved(ctx, wait+deposedEvery, func() bool {
		led := partitions()
		now, err := c.leaders(ctx, slices.Collect(maps.Keys(led)))
		return err == nil && noneLedBy(broker, led, now)
	}, end)
}

// whenMoved calls end when moved is true; it looks for the first time after a while.
func (c *Client) whenMoved(ctx context.Context, after time.Duration, moved func() bool, end context.CancelCauseFunc) (stop func() bool) {
	return time.AfterFunc(after, func() {
		for !moved() {
			if sleep(ctx, deposedEvery) != nil {
				return
			}
		}
		end(errDeposed)
	}).Stop
}

// noneLedBy reports whether that broker leads none of the partitions.
func noneLedBy(broker int32, partitions map[string][]int, now map[string]map[int]leader) bool {
	for topic, ids := range partitions {
		for _, id := range ids {
			if led, ok := now[topic][id]; ok && led.broker == broker {
				return false
			}
		}
	}
	return true
}

// allMoved reports whether each of the partitions has a leader, and another one than before.
func allMoved(partitions map[string][]int, before, now map[string]map[int]leader) bool {
	for topic, ids := range partitions {
		for _, id := range ids {
			led, ok := now[topic][id]
			if former, was := before[topic][id]; !ok || !was || led.broker == former.broker {
				return false
			}
		}
	}
	return true
}
