package kafka

import (
	"context"
	"errors"
	"time"
)

// deposedEvery is how often it is looked whether the broker that an answer is waited for
// still leads the partitions. The look costs nothing: the client knows.
const deposedEvery = 500 * time.Millisecond

// errDeposed ends the wait for the answer of a broker that leads a partition no longer.
var errDeposed = errors.New("the partition has another leader now, and the one before has not answered")

// watchLeader calls end when another broker leads one of the sets' partitions, until ctx
// ends. A broker that hangs would be waited for until the whole time of a request is over,
// and again by the next try, where the client has not heard of the new leader by then. What
// the deposed one still does with the request is of no consequence: it cannot confirm it.
func (c *Client) watchLeader(ctx context.Context, sets []set, end context.CancelCauseFunc) (stop func() bool) {
	watch := time.AfterFunc(deposedEvery, func() {
		for !c.deposed(ctx, sets) {
			if sleep(ctx, deposedEvery) != nil {
				return
			}
		}
		end(errDeposed)
	})
	return watch.Stop
}

// deposed reports whether the client knows another leader for one of the sets.
func (c *Client) deposed(ctx context.Context, sets []set) bool {
	var topics []string
	for _, s := range sets {
		if n := len(topics); n == 0 || topics[n-1] != s.lane.topic {
			topics = append(topics, s.lane.topic)
		}
	}
	leaders, err := c.leaders(ctx, topics)
	if err != nil {
		return false
	}
	for _, s := range sets {
		if leader, ok := leaders[s.lane.topic][int(s.lane.partition)]; ok && leader != s.lane.leader {
			return true
		}
	}
	return false
}
