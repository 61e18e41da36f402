package app

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	kafkago "github.com/segmentio/kafka-go"

	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
)

// sendCompressed publishes one value that is small in the log, whatever its
// size.
func (s *shop) sendCompressed(value []byte) {
	s.t.Helper()
	w := &kafkago.Writer{Addr: kafkago.TCP(s.servers.Brokers...), Transport: &kafkago.Transport{}, Topic: s.topics.Input, Compression: kafkago.Gzip, BatchBytes: 64 << 20, BatchSize: 1,
		RequiredAcks: kafkago.RequireAll} // what is sent next comes behind it
	defer func() { _ = w.Close() }()
	err := w.WriteMessages(s.t.Context(), kafkago.Message{Key: []byte("x"), Value: value})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestOversizeEventsHoldUpNobody(t *testing.T) {
	t.Parallel()

	for _, size := range []int{1_500_000, 3 << 20, 5 << 20} {
		t.Run(fmt.Sprintf("a value that unpacks to %d bytes is a dead letter", size), func(t *testing.T) {
			t.Parallel()
			s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions = 1 })
			s.stocked(map[string]int64{"apple": 10})
			value := bytes.Repeat([]byte("A-1 "), size/4)
			s.sendCompressed(value)
			s.send(create("A-2", "apple", 1))
			i := s.open()
			s.settle(i)
			expectSettled(t, i, map[string]int64{"dead": 1, "deducted": 1})
			s.expectOutcomes(map[string][]string{"": {"dead"}, "A-2": {"deducted"}})
			s.expectDeadLetter(value, order.CodeTooLarge)
		})
	}

	t.Run("an outcome takes over no traceparent that its topic would refuse", func(t *testing.T) {
		t.Parallel()
		s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions = 1 })
		s.stocked(map[string]int64{"apple": 10})
		s.sendMessages(order.Message{Topic: s.topics.Input, Key: []byte("x"), Value: []byte(create("A-1", "apple", 1)),
			Headers: []order.Header{{Key: order.HeaderTraceParent, Value: []byte(strings.Repeat("0", 1_048_350))}}})
		s.send(create("A-2", "apple", 1))
		s.settle(s.open())
		s.expectOutcomes(map[string][]string{"A-1": {"deducted"}, "A-2": {"deducted"}})
	})

	t.Run("a dead-letter topic with a lower limit than ours gets the beginning", func(t *testing.T) {
		t.Parallel()
		s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions = 1 })
		s.stocked(map[string]int64{"apple": 10})
		s.limit(s.topics.Dead, 100_000)
		value := bytes.Repeat([]byte("A-1 "), 75_000)
		s.sendCompressed(value)
		s.send("nor is this", create("A-2", "apple", 1))
		i := s.open()
		s.settle(i)
		expectSettled(t, i, map[string]int64{"dead": 2, "deducted": 1})
		s.expectDeadLetter(value, order.CodeTooLarge)
	})

	t.Run("a retry tier with a lower limit than ours makes a dead letter of what it cannot take", func(t *testing.T) {
		t.Parallel()
		s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions = 1 })
		s.stocked(map[string]int64{"apple": 10})
		s.limit(s.topics.Tiers[0].Topic, 100_000)
		value := []byte(create("A-1", "pear", 1) + strings.Repeat(" ", 300_000))
		s.sendCompressed(value)
		s.send(create("A-2", "apple", 1))
		s.settle(s.open())
		s.expectOutcomes(map[string][]string{"A-1": {"dead"}, "A-2": {"deducted"}})
		s.expectDeadLetter(value, order.CodeTooLarge)
		if dead := s.read(s.topics.Dead); header(dead[0], order.HeaderAttempt) != "1" || header(dead[0], order.HeaderNotBefore) != "" {
			t.Errorf("attempt %q, due %q", header(dead[0], order.HeaderAttempt), header(dead[0], order.HeaderNotBefore))
		}
	})
}

// limit sets the largest message that a topic takes.
func (s *shop) limit(topic string, limit int) {
	s.t.Helper()
	client := &kafkago.Client{Addr: kafkago.TCP(s.servers.Brokers...)}
	res, err := client.IncrementalAlterConfigs(s.t.Context(), &kafkago.IncrementalAlterConfigsRequest{
		Resources: []kafkago.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic,
			Configs: []kafkago.IncrementalAlterConfigsRequestConfig{{Name: "max.message.bytes", Value: strconv.Itoa(limit), ConfigOperation: kafkago.ConfigOperationSet}},
		}},
	})
	if err == nil {
		err = res.Resources[0].Error
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// expectDeadLetter expects the dead letter of the first message of the input
// topic: whole, or the beginning of it that says so.
func (s *shop) expectDeadLetter(value []byte, code string) {
	s.t.Helper()
	for _, m := range s.read(s.topics.Dead) {
		if header(m, order.HeaderOriginalOffset) != "0" {
			continue
		}
		want := ""
		if len(m.Value) < len(value) {
			want = strconv.Itoa(len(value))
		}
		if !bytes.HasPrefix(value, m.Value) || len(m.Value) < 30_000 || header(m, order.HeaderTruncated) != want {
			s.t.Errorf("%d bytes of %d, %s %q, want %q", len(m.Value), len(value), order.HeaderTruncated, header(m, order.HeaderTruncated), want)
		}
		if got := header(m, order.HeaderErrorCode); got != code {
			s.t.Errorf("code %s, want %s", got, code)
		}
		want = s.topics.Input + "/0/x"
		got := header(m, order.HeaderOriginalTopic) + "/" + header(m, order.HeaderOriginalPartition) + "/" + string(m.Key)
		if diff := cmp.Diff(want, got); diff != "" {
			s.t.Errorf("origin and key: %s", diff)
		}
		return
	}
	s.t.Error("no dead letter of the first message")
}

func TestTopicsTakeTheLargestCopy(t *testing.T) {
	t.Parallel()
	if around := settings.MessageBytes - order.MaxForwardBytes; around < 1<<10 {
		t.Errorf("a copy of %d bytes leaves the log %d of %d", order.MaxForwardBytes, around, settings.MessageBytes)
	}
}
