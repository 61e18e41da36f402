package kafka

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/order"
)

// Topics of a press, and its partitions of each.
const (
	pressA, pressB  = "a", "b"
	pressPartitions = 4
)

// asked is a request as a broker was sent it: the keys for each partition.
type asked struct {
	node int32
	acks int16
	keys map[string][]string
}

// press is brokers that keep what they are asked to append, and a publisher.
type press struct {
	t         *testing.T
	cluster   *kfake.Cluster
	client    *Client
	publisher *Publisher

	mutex    sync.Mutex
	requests []asked
}

// newPress has an even partition of each topic on one broker and an odd one on the
// other. Network is nil for the machine's own.
func newPress(t *testing.T, network *kfake.VirtualNetwork) *press {
	t.Helper()
	options, dial := []kfake.Opt{kfake.NumBrokers(2)}, Config{}.Dial
	if network != nil {
		options, dial = append(options, kfake.Ports(9092, 9093), kfake.ListenFn(network.Listen)), network.DialContext
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	for _, topic := range []string{pressA, pressB} {
		must(t, cluster.CreateTopic(topic, pressPartitions, nil))
		for n := range int32(pressPartitions) {
			must(t, cluster.MoveTopicPartition(topic, n, n%2))
		}
	}
	p := &press{t: t, cluster: cluster, client: Connect(Config{Brokers: cluster.ListenAddrs(), ClientID: "press-test", Dial: dial})}
	t.Cleanup(p.client.Close)
	p.publisher = p.client.NewPublisher(nil)
	t.Cleanup(func() { _ = p.publisher.Close() })
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		req, _ := r.(*kmsg.ProduceRequest)
		seen := asked{node: cluster.CurrentNode(), acks: req.Acks, keys: make(map[string][]string)}
		for _, topic := range req.Topics {
			for _, partition := range topic.Partitions {
				seen.keys[place(topic.Topic, partition.Partition)] = keysIn(t, partition.Records)
			}
		}
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.requests = append(p.requests, seen)
		return nil, nil, false
	})
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func place(topic string, partition int32) string { return fmt.Sprint(topic, "/", partition) }

func keysIn(t *testing.T, batch []byte) (keys []string) {
	t.Helper()
	records, _ := recordsIn(t, batch)
	for _, r := range records {
		keys = append(keys, string(r.Key))
	}
	return keys
}

// recordsIn are what a batch has, and the time of the first.
func recordsIn(t *testing.T, batch []byte) (records []kmsg.Record, first time.Time) {
	t.Helper()
	var b kmsg.RecordBatch
	if err := b.ReadFrom(batch); err != nil {
		t.Error(err)
	}
	for rest := b.Records; len(rest) > 0; {
		length, front := binary.Varint(rest)
		end := front + int(length)
		var r kmsg.Record
		if err := r.ReadFrom(rest[:end]); err != nil {
			t.Error(err)
		}
		records, rest = append(records, r), rest[end:]
	}
	return records, time.UnixMilli(b.FirstTimestamp)
}

// keyTo is a key that goes to a partition of so many; each n has another.
func keyTo(partition, of, n int) string {
	for i := 0; ; i++ {
		key := fmt.Sprintf("k%d-%d", n, i)
		if (kafkago.Murmur2Balancer{}).Balance(kafkago.Message{Key: []byte(key)}, upToN(of)...) == partition {
			return key
		}
	}
}

func upToN(n int) (numbers []int) {
	for i := range n {
		numbers = append(numbers, i)
	}
	return numbers
}

// to makes a message for a partition; its value has so many bytes.
func to(topic string, partition, n, bytes int) order.Message {
	return order.Message{Topic: topic, Key: []byte(keyTo(partition, pressPartitions, n)), Value: make([]byte, bytes)}
}

// everywhere is two messages for each partition of each topic.
func everywhere() (messages []order.Message) {
	for n := range 2 {
		for _, topic := range []string{pressA, pressB} {
			for partition := range pressPartitions {
				messages = append(messages, to(topic, partition, n, 10))
			}
		}
	}
	return messages
}

// log is what each partition has that has anything.
func (p *press) log() map[string]int64 {
	found := make(map[string]int64)
	for _, topic := range []string{pressA, pressB} {
		for _, info := range p.cluster.PartitionInfos(topic) {
			if info.HighWatermark > 0 {
				found[place(topic, info.Partition)] = info.HighWatermark
			}
		}
	}
	return found
}

func (p *press) asked() []asked {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return slices.Clone(p.requests)
}

// refuse has an error answered for one partition, count times.
func (p *press) refuse(topic string, partition int32, err *kerr.Error, count int) {
	p.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Partitions: []int32{partition}, Err: err, Count: count})
}

func keysOf(messages []order.Message) (keys []string) {
	for _, m := range messages {
		keys = append(keys, string(m.Key))
	}
	return keys
}

// untilConfirmed publishes as a flow does.
func (p *press) untilConfirmed(messages []order.Message) (failed int) {
	p.t.Helper()
	for len(messages) > 0 {
		unconfirmed, err := p.publisher.Publish(p.t.Context(), messages)
		if err == nil {
			return failed
		}
		failed++
		if messages = unconfirmed; failed > 100 {
			p.t.Fatal(err)
		}
	}
	return failed
}

// virtually runs a test in virtual time.
func virtually(t *testing.T, test func(t *testing.T, p *press)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // what is on its way finds out that all is closed
		test(t, newPress(t, new(kfake.VirtualNetwork)))
	})
}
