package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// allBounds are the first and the end offset of the partitions.
func (c *Client) allBounds(ctx context.Context, partitions map[string][]int) (bounds map[string]map[int]Position, err error) {
	err = again(ctx, func() error {
		bounds, err = c.fetchBounds(ctx, partitions)
		return err
	})
	return bounds, err
}

func (c *Client) fetchBounds(ctx context.Context, partitions map[string][]int) (map[string]map[int]Position, error) {
	// The first before the end: of a log that moves meanwhile, first <= end holds.
	first, err := c.offsets(ctx, partitions, kafkago.FirstOffset)
	if err != nil {
		return nil, fmt.Errorf("ask for the bounds of %d topics: %w", len(partitions), err)
	}
	end, err := c.offsets(ctx, partitions, kafkago.LastOffset)
	if err != nil {
		return nil, fmt.Errorf("ask for the bounds of %d topics: %w", len(partitions), err)
	}
	bounds := make(map[string]map[int]Position, len(partitions))
	for topic, ids := range partitions {
		bounds[topic] = make(map[int]Position, len(ids))
		for _, id := range ids {
			bounds[topic][id] = Position{Topic: topic, Partition: id, First: first[topic][id], End: end[topic][id]}
		}
	}
	return bounds, nil
}

// bounds are the first and the end offset of one partition.
func (c *Client) bounds(ctx context.Context, topic string, id int) (first, end int64, err error) {
	all, err := c.allBounds(ctx, map[string][]int{topic: {id}})
	if err != nil {
		return 0, 0, err
	}
	p := all[topic][id]
	return p.First, p.End, nil
}

// offsetsRequest is the client's own request, without what takes it apart: the client would
// ask for each partition by itself, for all of them at once, and over a connection for each.
type offsetsRequest listoffsets.Request

// ApiKey implements protocol.Message.
func (*offsetsRequest) ApiKey() protocol.ApiKey { return protocol.ListOffsets }

// Broker implements protocol.BrokerMessage: all partitions have one leader, or one that
// has just moved is refused by the broker that was it.
func (r *offsetsRequest) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	return (*listoffsets.Request)(r).Broker(cluster)
}

// partitions are those that are asked for, by topic.
func (r *offsetsRequest) partitions() map[string][]int {
	partitions := make(map[string][]int, len(r.Topics))
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			partitions[t.Topic] = append(partitions[t.Topic], int(p.Partition))
		}
	}
	return partitions
}

// offsets are, for each of the partitions, the first offset whose message was appended at
// that moment or later, in Unix milliseconds; the broker says -1 where there is none.
// kafkago.FirstOffset and LastOffset are moments, too. Each broker is asked once for all
// partitions that it leads; an error is one of those that came.
func (c *Client) offsets(ctx context.Context, partitions map[string][]int, at int64) (map[string]map[int]int64, error) {
	questions, err := c.questions(ctx, partitions, at)
	if err != nil {
		return nil, err
	}
	offsets := make(map[string]map[int]int64, len(partitions))
	for topic := range partitions {
		offsets[topic] = make(map[int]int64)
	}
	var mutex sync.Mutex // of offsets and errs
	var errs []error
	var brokers sync.WaitGroup
	for _, q := range questions {
		brokers.Go(func() {
			res, err := c.ask(ctx, q)
			mutex.Lock()
			defer mutex.Unlock()
			if err == nil {
				err = enter(offsets, q, res)
			}
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	brokers.Wait()
	if len(errs) > 0 {
		return nil, errs[0] // all of them are asked again
	}
	return offsets, nil
}

// questions are one for each broker that leads any of the partitions.
func (c *Client) questions(ctx context.Context, partitions map[string][]int, at int64) (map[int32]*offsetsRequest, error) {
	leaders, err := c.leaders(ctx, slices.Sorted(maps.Keys(partitions)))
	if err != nil {
		return nil, err
	}
	questions := make(map[int32]*offsetsRequest)
	for topic, ids := range partitions {
		for _, id := range ids {
			led, ok := leaders[topic][id]
			if !ok {
				return nil, fmt.Errorf("%s/%d: %w", topic, id, kafkago.LeaderNotAvailable)
			}
			q := questions[led.broker]
			if q == nil {
				q = &offsetsRequest{ReplicaID: -1}
				questions[led.broker] = q
			}
			if n := len(q.Topics); n == 0 || q.Topics[n-1].Topic != topic {
				q.Topics = append(q.Topics, listoffsets.RequestTopic{Topic: topic})
			}
			its := &q.Topics[len(q.Topics)-1]
			its.Partitions = append(its.Partitions, listoffsets.RequestPartition{
				Partition: int32(id), CurrentLeaderEpoch: -1, Timestamp: at, //nolint:gosec // Kafka's own number
			})
		}
	}
	return questions, nil
}

// leaders are the brokers that lead each topic's partitions; without one a partition is
// left out. The client answers from memory, and the same memory then decides where a question goes.
func (c *Client) leaders(ctx context.Context, topics []string) (map[string]map[int]leader, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.transport.RoundTrip(ctx, c.admin.Addr, &metadata.Request{TopicNames: topics})
	if err != nil {
		return nil, fmt.Errorf("ask for the leaders of %d topics: %w", len(topics), err)
	}
	res, ok := answer.(*metadata.Response)
	if !ok {
		return nil, fmt.Errorf("ask for the leaders of %d topics: the answer is a %T", len(topics), answer)
	}
	leaders := make(map[string]map[int]leader, len(topics))
	for _, t := range res.Topics {
		if t.ErrorCode != 0 {
			return nil, fmt.Errorf("topic %s: %w", t.Name, kafkago.Error(t.ErrorCode))
		}
		leaders[t.Name] = make(map[int]leader, len(t.Partitions))
		for _, p := range t.Partitions {
			if p.LeaderID >= 0 {
				leaders[t.Name][int(p.PartitionIndex)] = leader{broker: p.LeaderID, epoch: p.LeaderEpoch}
			}
		}
	}
	return leaders, nil
}

func (c *Client) ask(ctx context.Context, q *offsetsRequest) (*listoffsets.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer c.watchLeader(ctx, q.partitions(), end)()
	answer, err := c.transport.RoundTrip(ctx, c.admin.Addr, q)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errDeposed) {
		err = cause
	}
	if err != nil {
		return nil, err
	}
	res, ok := answer.(*listoffsets.Response)
	if !ok {
		return nil, fmt.Errorf("the answer is a %T", answer)
	}
	return res, nil
}

// enter notes what an answer says about each partition that was asked for.
func enter(offsets map[string]map[int]int64, q *offsetsRequest, res *listoffsets.Response) error {
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, kafkago.Error(p.ErrorCode))
			}
			if offsets[t.Topic] != nil {
				offsets[t.Topic][int(p.Partition)] = p.Offset
			}
		}
	}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			if _, ok := offsets[t.Topic][int(p.Partition)]; !ok {
				return fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, errUnanswered)
			}
		}
	}
	return nil
}

// errUnanswered is a partition that the answer of its broker does not mention.
var errUnanswered = errors.New("the broker's answer does not mention it")
