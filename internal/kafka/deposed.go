package kafka

import (
	"context"
	"errors"
	"time"
)

// deposedEvery is how often it is looked whether the broker that an answer is waited for
// still leads the partitions. The look costs nothing: the client knows.
const deposedEvery = 500 * time.Millisecond

// errDeposed ends the wait for the answer of a broker that leads none of the partitions any
// more.
var errDeposed = errors.New("the partitions have another leader now, and the one before has not answered")

// watchLeader calls end when other brokers lead all of the sets' partitions than when it was
// called, until ctx ends. A broker that hangs would be waited for until the whole time of a
// request is over, and again by the next try, where the client has not heard of the new
// leader by then. What the deposed one still does with the request is of no consequence: it
// cannot confirm it. One that still leads a partition can, and is waited for.
func (c *Client) watchLeader(ctx context.Context, sets []set, end context.CancelCauseFunc) (stop func() bool) {
	before, err := c.leaders(ctx, topicsOf(sets))
	if err != nil {
		return func() bool { return true } // the request will say so
	}
	return time.AfterFunc(deposedEvery, func() {
		for !c.deposed(ctx, sets, before) {
			if sleep(ctx, deposedEvery) != nil {
				return
			}
		}
		end(errDeposed)
	}).Stop
}

// topicsOf are the topics of the sets, which come topic by topic.
func topicsOf(sets []set) []string {
	var topics []string
	for _, s := range sets {
		if n := len(topics); n == 0 || topics[n-1] != s.lane.topic {
			topics = append(topics, s.lane.topic)
		}
	}
	return topics
}

// deposed reports whether the client knows another leader for each of the sets.
func (c *Client) deposed(ctx context.Context, sets []set, before map[string]map[int]int32) bool {
	now, err := c.leaders(ctx, topicsOf(sets))
	if err != nil {
		return false
	}
	for _, s := range sets {
		topic, id := s.lane.topic, int(s.lane.partition)
		leader, ok := now[topic][id]
		if former, led := before[topic][id]; !ok || !led || leader == former {
			return false
		}
	}
	return true
}
