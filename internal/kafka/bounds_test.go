package kafka

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/order"
)

// TestEachBrokerIsAskedOnceForTheBounds of all that it leads, and not once for each
// partition over a connection of its own.
func TestEachBrokerIsAskedOnceForTheBounds(t *testing.T) {
	t.Parallel()
	p := newPress(t, nil)
	for n := range pressPartitions {
		p.untilConfirmed([]order.Message{to(pressA, n, 1, 10), to(pressA, n, 2, 10)})
	}
	var questions atomic.Int32
	p.cluster.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		p.cluster.KeepControl()
		questions.Add(1)
		return nil, nil, false
	})
	all, err := p.client.Positions(t.Context(), "nobody", []string{pressA, pressB})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range all {
		end := map[string]int64{pressA: 2, pressB: 0}[got.Topic]
		if got.First != 0 || got.End != end || got.Committed != NoCommit {
			t.Errorf("%+v, want from 0 to %d", got, end)
		}
	}
	const brokers, bounds = 2, 2
	if n := questions.Load(); len(all) != 2*pressPartitions || n != brokers*bounds {
		t.Errorf("%d questions for the bounds of %d partitions, want %d", n, len(all), brokers*bounds)
	}
}

// TestBoundsOfAPartitionThatIsNotAnsweredForAreNotKnown.
func TestBoundsOfAPartitionThatIsNotAnsweredForAreNotKnown(t *testing.T) {
	t.Parallel()
	for n, change := range []func(*kmsg.ListOffsetsResponseTopic){
		func(topic *kmsg.ListOffsetsResponseTopic) { topic.Partitions = topic.Partitions[1:] },
		func(topic *kmsg.ListOffsetsResponseTopic) {
			topic.Partitions[0].ErrorCode = kerr.UnknownServerError.Code
		},
		func(topic *kmsg.ListOffsetsResponseTopic) { topic.Topic = strconv.Itoa(0) },
	} {
		p := newPress(t, nil)
		p.cluster.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
			p.cluster.KeepControl()
			req, _ := r.(*kmsg.ListOffsetsRequest)
			res, _ := req.ResponseKind().(*kmsg.ListOffsetsResponse)
			for _, asked := range req.Topics {
				topic := kmsg.NewListOffsetsResponseTopic()
				topic.Topic = asked.Topic
				for _, partition := range asked.Partitions {
					answer := kmsg.NewListOffsetsResponseTopicPartition()
					answer.Partition, answer.Offset = partition.Partition, 1
					topic.Partitions = append(topic.Partitions, answer)
				}
				change(&topic)
				res.Topics = append(res.Topics, topic)
			}
			return res, nil, true
		})
		if got, err := p.client.Positions(t.Context(), "nobody", []string{pressA}); err == nil {
			t.Errorf("answer %d: %+v", n, got)
		}
	}
}

// TestBoundsAreAskedOfTheNewLeader as soon as the client has heard of it, and not when the
// one that hangs has had all the time of a request.
func TestBoundsAreAskedOfTheNewLeader(t *testing.T) {
	t.Parallel()
	virtually(t, func(t *testing.T, p *press) {
		p.untilConfirmed(everywhere())
		p.cluster.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
			p.cluster.KeepControl()
			return nil, nil, p.cluster.CurrentNode() == 0
		})
		began := time.Now()
		time.AfterFunc(time.Second, func() { must(t, p.cluster.MoveTopicPartition(pressA, 0, 1)) })
		for {
			_, end, err := p.client.bounds(t.Context(), pressA, 0)
			if err == nil && end > 0 {
				break
			}
		}
		if took, most := time.Since(began), time.Second+metadataTTL+2*deposedEvery; took > most {
			t.Errorf("it took %v, want no more than %v", took, most)
		}
	})
}
