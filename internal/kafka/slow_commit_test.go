package kafka

import (
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestACoordinatorThatCannotCommitNowKeepsItsGroup: with a broker gone that a
// coordinator's copies still count on, it holds each commit for 5 s and then says that
// it was not done. It is there and serves the group: nobody has to join again.
func TestACoordinatorThatCannotCommitNowKeepsItsGroup(t *testing.T) {
	t.Parallel()
	const held = 5 * time.Second // offsets.commit.timeout.ms, unless a broker is told otherwise
	g := newFakeGroup(t)
	g.send("a")
	answered := make(chan struct{})
	sayAnswered := sync.OnceFunc(func() { close(answered) })
	g.cluster.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		g.cluster.SleepControl(func() { <-time.After(held) })
		defer sayAnswered()
		req, _ := r.(*kmsg.OffsetCommitRequest)
		res, _ := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, t := range req.Topics {
			topic := kmsg.NewOffsetCommitResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				part := kmsg.NewOffsetCommitResponseTopicPartition()
				part.Partition, part.ErrorCode = p.Partition, kerr.CoordinatorNotAvailable.Code
				topic.Partitions = append(topic.Partitions, part)
			}
			res.Topics = append(res.Topics, topic)
		}
		return res, nil, true
	})
	m := g.join()
	close(m.free)
	wait(t, "an assignment", m.assigned)
	wait(t, "the end of the commit that is not done", answered)
	wait(t, "one that is", m.committed)
	if len(m.assigned) > 0 {
		t.Error("the group was joined again")
	}
}
