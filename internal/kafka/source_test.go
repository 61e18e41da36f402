package kafka

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/order"
	"orderconsumer/internal/testkit"
)

// TestALargeBatchIsNotPutOffForEver: of several partitions that have messages a broker sends
// one that asked for less than a batch nothing, unless it is the first. Others always
// have a little here, and one of them nothing at all.
func TestALargeBatchIsNotPutOffForEver(t *testing.T) {
	t.Parallel()
	g := newFakeGroup(t)
	idle, busy, large := testkit.Unique("always"), testkit.Unique("always"), testkit.Unique("large")
	topics := []string{idle, busy, large}
	feeds := g.client.newFeeds(len(topics))
	for _, topic := range topics {
		if _, err := g.client.EnsureTopics(t.Context(), []TopicSpec{{Name: topic, Partitions: 1, Replication: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	var questions atomic.Int32
	g.cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		g.cluster.KeepControl()
		questions.Add(1)
		req, _ := r.(*kmsg.FetchRequest)
		res, _ := req.ResponseKind().(*kmsg.FetchResponse)
		first := true
		for _, asked := range req.Topics {
			offset := asked.Partitions[0].FetchOffset
			told := made(offset, nil)
			if asked.Topic == busy || asked.Topic == large && first {
				told, first = made(offset+1, batchAt(offset, "k")), false
			} else if asked.Topic == large {
				told.HighWatermark = offset + 1
			}
			topic := kmsg.NewFetchResponseTopic()
			topic.Topic, topic.Partitions = asked.Topic, []kmsg.FetchResponseTopicPartition{*told}
			res.Topics = append(res.Topics, topic)
		}
		return res, nil, true
	})
	ctx, stop := context.WithCancel(t.Context())
	defer feeds.wait()
	defer stop()
	came := make(chan string, 100)
	read := func(topic string) {
		feed := feeds.add(topic, 0)
		go func() {
			for offset := int64(0); ; offset++ {
				if _, err := feed.next(ctx, offset, noEpoch); err != nil {
					return
				}
				tell(came, topic)
			}
		}()
	}
	read(idle)
	read(busy)
	wait(t, "messages", came)
	read(large)
	began := questions.Load()
	for wait(t, "messages", came) != large {
		if n := questions.Load() - began; n > 20 {
			t.Fatalf("nothing of the large batch in %d questions", n)
		}
	}
}

// TestALeaderThatMovedIsFoundAtOnce: the client finds out by itself within 5 s.
func TestALeaderThatMovedIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	g := newFakeGroupOf(t, 2)
	feeds := g.client.newFeeds(1)
	feed := feeds.add(g.topic, 0)
	ctx, stop := context.WithCancel(t.Context())
	defer feeds.wait()
	defer stop()
	g.send("a", "b", "c", "d")
	for n := range int64(4) {
		leader := g.cluster.LeaderFor(g.topic, 0)
		if err := g.cluster.MoveTopicPartition(g.topic, 0, 1-leader); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			feed.source = feeds.source(ctx, leader) // as far as the client knows
		}
		portion, err := feed.next(ctx, n, noEpoch)
		if err != nil {
			t.Fatalf("after move %d: %v", n, err)
		}
		next, err := portion.visit(ctx, Range{Topic: g.topic, To: n + 1}, n, intake{visit: func(order.Message) error { return nil }})
		if err != nil || next != n+1 {
			t.Fatalf("at %d: %v", next, err)
		}
	}
	if _, err := feed.next(ctx, 100, noEpoch); !errors.Is(err, kafkago.OffsetOutOfRange) {
		t.Errorf("behind the log: %v", err)
	}
}
