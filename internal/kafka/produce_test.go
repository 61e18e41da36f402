package kafka

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/order"
)

// TestEachBrokerIsAskedOnce: whatever the number of topics and partitions. All replicas
// are waited for: what only a leader has is gone with it.
func TestEachBrokerIsAskedOnce(t *testing.T) {
	t.Parallel()
	p := newPress(t, nil)
	messages := everywhere()
	unconfirmed, err := p.publisher.Publish(t.Context(), messages)
	if err != nil || unconfirmed != nil {
		t.Fatal(unconfirmed, err)
	}
	got := p.asked()
	if len(got) != 2 || got[0].node == got[1].node {
		t.Fatalf("%d requests, want one to each broker: %v", len(got), got)
	}
	keys := make(map[string][]string)
	for _, r := range got {
		if r.acks != int16(kafkago.RequireAll) || len(r.keys) != pressPartitions {
			t.Errorf("acks %d, %d partitions", r.acks, len(r.keys))
		}
		maps.Copy(keys, r.keys)
	}
	want := make(map[string][]string)
	for n := range messages {
		at := place(messages[n].Topic, int32(n%pressPartitions)) //nolint:gosec // a small number
		want[at] = append(want[at], string(messages[n].Key))
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if len(p.log()) != 2*pressPartitions {
		t.Errorf("the log has %v", p.log())
	}
}

// TestAPartitionFailsAlone: also for a reason that we do not know, and is asked once
// where asking again is of no use.
func TestAPartitionFailsAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   *kerr.Error
		tries int
	}{
		"for good":          {kerr.TopicAuthorizationFailed, 1},
		"for now":           {kerr.NotEnoughReplicas, publishTries},
		"unknown":           {kerr.UnknownServerError, 1},
		"duplicate":         {kerr.DuplicateSequenceNumber, 1},
		"none of our codes": {&kerr.Error{Code: 999, Message: "NEW"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPress(t, nil)
			p.refuse(pressB, 2, c.err, -1)
			messages := everywhere()
			unconfirmed, err := p.publisher.Publish(t.Context(), messages)
			want := []string{keyTo(2, pressPartitions, 0), keyTo(2, pressPartitions, 1)}
			if diff := cmp.Diff(want, keysOf(unconfirmed)); diff != "" {
				t.Errorf("unconfirmed (-want +got):\n%s", diff)
			}
			if !errors.Is(err, order.ErrPublish) || !errors.Is(err, kafkago.Error(c.err.Code)) || errors.Is(err, order.ErrTooLarge) {
				t.Errorf("error %v", err)
			}
			if log := p.log(); len(log) != 2*pressPartitions-1 || log[place(pressB, 2)] != 0 {
				t.Errorf("the log has %v", log)
			}
			if n := len(p.asked()) - 1; n != c.tries {
				t.Errorf("it was tried %d times, want %d", n, c.tries)
			}
		})
	}
}

// TestWhatIsTooLargeHoldsUpOnlyItsPartition: what stands before it is appended, what
// stands behind it is not, or it would be overtaken; its size is the reason, whatever
// else is wrong.
func TestWhatIsTooLargeHoldsUpOnlyItsPartition(t *testing.T) {
	t.Parallel()
	const limit = 1000
	for name, size := range map[string]int{"for the topic": 2 * limit, "for any": aloneBytes} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPress(t, nil)
			p.refuse(pressB, 3, kerr.NotEnoughReplicas, -1)
			narrow, _ := p.client.EnsureTopics(t.Context(), []TopicSpec{{Name: "narrow", Partitions: pressPartitions, Replication: 1, MaxMessageBytes: limit}})
			if len(narrow) != 1 {
				t.Fatal("no topic")
			}
			messages := []order.Message{
				to(pressB, 3, 1, 10),
				to("narrow", 0, 1, 10), to("narrow", 0, 2, 10), to("narrow", 0, 3, size), to("narrow", 0, 4, 10),
				to("narrow", 1, 5, 10), to(pressA, 0, 6, 10),
			}
			unconfirmed, err := p.publisher.Publish(t.Context(), messages)
			if !errors.Is(err, order.ErrTooLarge) || !errors.Is(err, order.ErrPublish) {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(keysOf([]order.Message{messages[0], messages[3], messages[4]}), keysOf(unconfirmed)); diff != "" {
				t.Errorf("unconfirmed (-want +got):\n%s", diff)
			}
			sent := slices.ContainsFunc(p.asked(), func(r asked) bool {
				return slices.Contains(r.keys[place("narrow", 0)], string(messages[3].Key))
			})
			if sent != (size < aloneBytes) {
				t.Errorf("that brokers were sent it is %t", sent)
			}
			counts := make(map[int32]int64)
			for _, info := range p.cluster.PartitionInfos("narrow") {
				counts[info.Partition] = info.HighWatermark
			}
			if diff := cmp.Diff(map[int32]int64{0: 2, 1: 1, 2: 0, 3: 0}, counts); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

// TestATopicThatTakesLessGetsSmallerSets: nothing is refused in the end that would have
// been taken in another company.
func TestATopicThatTakesLessGetsSmallerSets(t *testing.T) {
	t.Parallel()
	p := newPress(t, nil)
	must(t, p.cluster.CreateTopic("narrow", 1, map[string]string{"max.message.bytes": "1000"}))
	var messages []order.Message
	for n := range 100 {
		messages = append(messages, order.Message{Topic: "narrow", Key: fmt.Append(nil, n), Value: make([]byte, 100)})
	}
	if unconfirmed, err := p.publisher.Publish(t.Context(), messages); err != nil {
		t.Fatal(len(unconfirmed), err)
	}
	if n := p.cluster.PartitionInfo("narrow", 0).HighWatermark; n != 100 {
		t.Errorf("%d messages are there", n)
	}
}

// TestNothingOvertakesWhatWasRefused: one partition, three sets, of which the first is
// refused once. A message has a set of its own because of its size, and keeps its place.
func TestNothingOvertakesWhatWasRefused(t *testing.T) {
	t.Parallel()
	p := newPress(t, nil)
	p.refuse(pressA, 1, kerr.NotEnoughReplicas, 1)
	messages := []order.Message{to(pressA, 1, 1, 10), to(pressA, 1, 2, publishAlone), to(pressA, 1, 3, 10), to(pressA, 3, 4, 10)}
	if unconfirmed, err := p.publisher.Publish(t.Context(), messages); err != nil {
		t.Fatal(len(unconfirmed), err)
	}
	var got [][]string
	for _, r := range p.asked() {
		got = append(got, r.keys[place(pressA, 1)])
	}
	keys := keysOf(messages)
	if diff := cmp.Diff([][]string{keys[:1], keys[:1], keys[1:2], keys[2:3]}, got); diff != "" {
		t.Errorf("what was sent (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{place(pressA, 1): 3, place(pressA, 3): 1}, p.log()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// TestRequestsAreBounded: what is too much for one request goes in the next, in order.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	p := newPress(t, nil)
	var messages []order.Message
	for n := range 100 {
		messages = append(messages, to(pressA, n%2, n, 100_000))
	}
	if unconfirmed, err := p.publisher.Publish(t.Context(), messages); err != nil {
		t.Fatal(len(unconfirmed), err)
	}
	got := make(map[string][]string)
	for _, r := range p.asked() {
		for at, keys := range r.keys {
			if len(keys) > publishBytes/100_000 {
				t.Errorf("%d messages in a set", len(keys))
			}
			got[at] = append(got[at], keys...)
		}
	}
	want := make(map[string][]string)
	for n := range messages {
		at := place(pressA, int32(n%2)) //nolint:gosec // a small number
		want[at] = append(want[at], string(messages[n].Key))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// TestWhatAnAnswerDoesNotMentionIsNotConfirmed: it is sent again, and alone.
func TestWhatAnAnswerDoesNotMentionIsNotConfirmed(t *testing.T) {
	t.Parallel()
	p := newPress(t, nil)
	p.cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		p.cluster.KeepControl()
		req, _ := r.(*kmsg.ProduceRequest)
		res, _ := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, asked := range req.Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic = asked.Topic
			for _, partition := range asked.Partitions {
				if asked.Topic == pressA && partition.Partition == 1 {
					continue
				}
				answer := kmsg.NewProduceResponseTopicPartition()
				answer.Partition = partition.Partition
				topic.Partitions = append(topic.Partitions, answer)
			}
			res.Topics = append(res.Topics, topic)
		}
		return res, nil, true
	})
	unconfirmed, err := p.publisher.Publish(t.Context(), everywhere())
	if !errors.Is(err, errUnanswered) {
		t.Errorf("error %v", err)
	}
	want := []string{keyTo(1, pressPartitions, 0), keyTo(1, pressPartitions, 1)}
	if diff := cmp.Diff(want, keysOf(unconfirmed)); diff != "" {
		t.Errorf("unconfirmed (-want +got):\n%s", diff)
	}
	got := p.asked()
	if len(got) != 1+publishTries {
		t.Errorf("%d requests", len(got))
	}
	if last := got[len(got)-1].keys; len(last) != 1 {
		t.Errorf("the last one has %v", last)
	}
}
