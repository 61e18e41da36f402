package testkit

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/stock/ledger"
)

// deleteTimeoutMillis bounds the removal on the broker's side.
const deleteTimeoutMillis = 10_000

// DeleteRecords removes what stands in a partition below an offset, as
// retention does. Our own client cannot: it has no use for it.
func (s *Servers) DeleteRecords(t testing.TB, topic string, partition int32, before int64) {
	t.Helper()
	client := connect(t, s.Brokers...)
	defer client.Close()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = deleteTimeoutMillis
	asked := kmsg.NewDeleteRecordsRequestTopic()
	asked.Topic = topic
	part := kmsg.NewDeleteRecordsRequestTopicPartition()
	part.Partition, part.Offset = partition, before
	asked.Partitions = append(asked.Partitions, part)
	req.Topics = append(req.Topics, asked)
	res, err := req.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	if code := res.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("delete records of %s/%d below %d: error %d", topic, partition, before, code)
	}
}

// Exec changes the test's database behind the ledger's back: what a person with a
// client does to it.
func (s *Servers) Exec(t testing.TB, fn func(exec func(query string, args ...any))) {
	t.Helper()
	l := s.OpenLedger(t)
	err := l.InTransaction(t.Context(), func(tx ledger.Tx) error {
		var first error
		fn(func(query string, args ...any) {
			if _, err := tx.ExecContext(t.Context(), query, args...); err != nil && first == nil {
				first = err
			}
		})
		return first
	})
	if err != nil {
		t.Fatal(err)
	}
}

// CreateTopic makes a topic of one partition, which goes with the test; configs are
// name=value. Our own client sets none.
func (s *Servers) CreateTopic(t testing.TB, topic string, configs ...string) {
	t.Helper()
	client := connect(t, s.Brokers...)
	defer client.Close()
	asked := kmsg.NewCreateTopicsRequestTopic()
	asked.Topic, asked.NumPartitions, asked.ReplicationFactor = topic, 1, 1
	for _, config := range configs {
		name, value, _ := strings.Cut(config, "=")
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, &value
		asked.Configs = append(asked.Configs, c)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, asked)
	res, err := req.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	if code := res.Topics[0].ErrorCode; code != 0 {
		t.Fatalf("create topic %s: error %d", topic, code)
	}
	if Real() {
		t.Cleanup(func() { s.deleteTopic(t, topic) })
	}
}

func (s *Servers) deleteTopic(t testing.TB, topic string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), deleteTimeoutMillis*time.Millisecond)
	defer cancel()
	client := connect(t, s.Brokers...)
	defer client.Close()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = deleteTimeoutMillis
	req.TopicNames = []string{topic}
	asked := kmsg.NewDeleteTopicsRequestTopic()
	asked.Topic = &topic
	req.Topics = append(req.Topics, asked)
	res, err := req.RequestWith(ctx, client)
	if err != nil {
		t.Error(err)
		return
	}
	if code := res.Topics[0].ErrorCode; code != 0 {
		t.Errorf("delete topic %s: error %d", topic, code)
	}
}
