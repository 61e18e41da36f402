package kafka

import (
	"context"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// fetchVersion is that of the request: the last one that calls topics by their names.
	// Kafka 2.7 and later know it.
	fetchVersion = 12
	// fetchBytes is the most one answer brings. A larger message still comes.
	fetchBytes = 1 << 20
)

// noEpoch is the epoch of no leader.
const noEpoch = -1

// wanted is what is asked of one partition.
type wanted struct {
	topic     string
	partition int
	offset    int64
	most      int // bytes; one batch always comes whole, if the partition is the first that has any

	// epoch is the leader's, as far as is known, readEpoch that of the leader which appended the batch
	// before offset; noEpoch leaves them out. A broker that leads in another epoch refuses, so that one that
	// was deposed cannot speak for the log; and the one that leads says where the log has become another
	// than was read, also when it is as long again.
	epoch, readEpoch int32
}

// fetchAnswer is what a broker says to a fetch.
type fetchAnswer struct {
	kmsg.FetchResponse

	room []byte // the answer's memory, which may be used again when nothing of it is needed
}

// fetch asks one broker for messages of partitions, in that order, which it holds back
// for up to wait while there are none. Room is memory that the answer may take; after an
// error somebody may still write to it.
func (c *Client) fetch(ctx context.Context, wants []wanted, wait time.Duration, room []byte,
	to func(protocol.Cluster) (protocol.Broker, error),
) (fetchAnswer, error) {
	req := kmsg.NewFetchRequest()
	req.SetVersion(fetchVersion)
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(wait.Milliseconds()), 1, fetchBytes //nolint:gosec // it is short
	req.SessionEpoch = -1                                                                     // no session: all of them are named each time
	for _, w := range wants {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != w.topic {
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic = w.topic
			req.Topics = append(req.Topics, topic)
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = int32(w.partition), w.offset, int32(w.most) //nolint:gosec // Kafka's own numbers
		p.CurrentLeaderEpoch, p.LastFetchedEpoch = w.epoch, w.readEpoch
		topic := &req.Topics[len(req.Topics)-1]
		topic.Partitions = append(topic.Partitions, p)
	}
	q := c.newQuestion(&req, wait, to)
	q.room = room
	said, err := c.transport.RoundTrip(ctx, c.admin.Addr, q)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause // the client's word for it is one for all causes
		}
		return fetchAnswer{}, err
	}
	a, ok := said.(*answer)
	if !ok {
		return fetchAnswer{}, fmt.Errorf("the answer is a %T", said)
	}
	res := fetchAnswer{room: a.text}
	res.SetVersion(fetchVersion)
	if err := a.into(&res.FetchResponse); err != nil {
		return fetchAnswer{}, err
	}
	if res.ErrorCode != 0 {
		return fetchAnswer{}, kafkago.Error(res.ErrorCode)
	}
	return res, nil
}

// empty is true for an answer that says nothing about any partition.
func (a *fetchAnswer) empty() bool {
	for i := range a.Topics {
		for k := range a.Topics[i].Partitions {
			if p := &a.Topics[i].Partitions[k]; len(p.RecordBatches) > 0 || p.ErrorCode != 0 || p.DivergingEpoch.EndOffset >= 0 {
				return false
			}
		}
	}
	return true
}

// of finds what the answer says about a partition.
func (a *fetchAnswer) of(topic string, partition int) *kmsg.FetchResponseTopicPartition {
	for i := range a.Topics {
		if a.Topics[i].Topic != topic {
			continue
		}
		for k := range a.Topics[i].Partitions {
			if p := &a.Topics[i].Partitions[k]; int(p.Partition) == partition {
				return p
			}
		}
	}
	return nil
}

// throttled is how long the broker wants to be left alone.
func (a *fetchAnswer) throttled() time.Duration {
	return time.Duration(a.ThrottleMillis) * time.Millisecond
}

// leaderOf is a way to the broker that leads a partition, as far as the client knows.
func leaderOf(topic string, partition int) func(protocol.Cluster) (protocol.Broker, error) {
	return func(cluster protocol.Cluster) (protocol.Broker, error) {
		t, ok := cluster.Topics[topic]
		if !ok {
			return protocol.Broker{}, kafkago.UnknownTopicOrPartition
		}
		p, ok := t.Partitions[int32(partition)] //nolint:gosec // Kafka's own number
		if !ok {
			return protocol.Broker{}, kafkago.UnknownTopicOrPartition
		}
		return brokerOf(cluster, p.Leader)
	}
}

// brokerOf is one broker of the cluster.
func brokerOf(cluster protocol.Cluster, id int32) (protocol.Broker, error) {
	b, ok := cluster.Brokers[id]
	if !ok {
		return protocol.Broker{}, kafkago.LeaderNotAvailable
	}
	return b, nil
}
