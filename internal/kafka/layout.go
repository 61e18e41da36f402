package kafka

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// metadataVersion is that of the question for leaders. Kafka 2.1 and later know it.
	metadataVersion = 7
	// lookTimeout bounds one look for leaders: a broker that has not answered by then hangs.
	lookTimeout = 3 * time.Second
)

// leader is a broker that leads a partition, and the epoch of its leading: that of each new leader is
// higher, also of one that comes again. A topic that is made anew begins with zero.
type leader struct{ broker, epoch int32 }

// layout is who leads the partitions, as a broker said when it was last asked. The client's
// own is up to metadataTTL older: for as long a partition that has moved would stand still.
type layout struct {
	looking chan struct{} // has an element while one looks, or sets what is below: the others want to know the same
	asked   time.Time
	leaders map[string]map[int]leader
	err     error // of the look
}

// leader is the broker that leads the feed's partition, by a look that began after its source
// failed. One look is for all partitions that failed with it, also one that fails: they
// would wait for a broker that hangs one after the other. It fails with
// kafkago.LeaderNotAvailable where nobody leads the partition.
func (f *feeds) leader(ctx context.Context, who *feed) (leader, error) {
	l := &f.layout
	select {
	case l.looking <- struct{}{}:
		defer func() { <-l.looking }()
	case <-ctx.Done():
		return leader{}, ctx.Err()
	}
	if !l.asked.After(who.failedAt) {
		l.asked = time.Now()
		l.leaders, l.err = f.client.askLeaders(ctx, slices.Sorted(maps.Keys(f.topics)), who.failed)
	}
	if l.err != nil {
		return leader{}, l.err
	}
	led, ok := l.leaders[who.topic][who.partition]
	if !ok {
		return leader{}, fmt.Errorf("%s/%d: %w", who.topic, who.partition, kafkago.LeaderNotAvailable)
	}
	return led, nil
}

// askLeaders asks a broker who leads the topics' partitions: another one than that, if
// there is any. Those that nobody leads are left out.
func (c *Client) askLeaders(ctx context.Context, topics []string, not int32) (map[string]map[int]leader, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	req := kmsg.NewMetadataRequest()
	req.SetVersion(metadataVersion)
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &topic
		req.Topics = append(req.Topics, t)
	}
	said, err := c.transport.RoundTrip(ctx, c.admin.Addr, c.newQuestion(&req, 0, anotherBroker(not)))
	if err != nil {
		return nil, fmt.Errorf("ask for the leaders of %d topics: %w", len(topics), err)
	}
	a, ok := said.(*answer)
	if !ok {
		return nil, fmt.Errorf("ask for the leaders of %d topics: the answer is a %T", len(topics), said)
	}
	res := kmsg.NewMetadataResponse()
	res.SetVersion(metadataVersion)
	if err := a.into(&res); err != nil {
		return nil, fmt.Errorf("ask for the leaders of %d topics: %w", len(topics), err)
	}
	leaders := make(map[string]map[int]leader, len(topics))
	for i := range res.Topics {
		t := &res.Topics[i]
		if t.Topic == nil {
			continue
		}
		leaders[*t.Topic] = make(map[int]leader, len(t.Partitions))
		for k := range t.Partitions {
			if p := &t.Partitions[k]; p.Leader >= 0 {
				leaders[*t.Topic][int(p.Partition)] = leader{broker: p.Leader, epoch: p.LeaderEpoch}
			}
		}
	}
	return leaders, nil
}

// anotherBroker is a way to any broker but that one, unless there is no other.
func anotherBroker(not int32) func(protocol.Cluster) (protocol.Broker, error) {
	return func(cluster protocol.Cluster) (protocol.Broker, error) {
		ids := slices.DeleteFunc(slices.Sorted(maps.Keys(cluster.Brokers)), func(id int32) bool { return id == not })
		if len(ids) == 0 {
			return brokerOf(cluster, not)
		}
		return cluster.Brokers[ids[rand.IntN(len(ids))]], nil
	}
}
