package kafka

import (
	"errors"
	"testing"

	"orderconsumer/internal/order"
	"orderconsumer/internal/testkit"
)

// TestWhatTheLogRefusesIsNotConfirmed: an event is done once its retry or dead
// letter is confirmed, so a confirmation of what no broker has kept loses it.
func TestWhatTheLogRefusesIsNotConfirmed(t *testing.T) {
	t.Parallel()
	client := Connect(Config{Brokers: testkit.Start(t).Brokers, ClientID: "publisher-test"})
	t.Cleanup(client.Close)
	const limit = 2000
	roomy, narrow := testkit.Unique("roomy"), testkit.Unique("narrow")
	_, err := client.EnsureTopics(t.Context(), []TopicSpec{
		{Name: roomy, Partitions: 1, Replication: 1},
		{Name: narrow, Partitions: 1, Replication: 1, MaxMessageBytes: limit},
	})
	if err != nil {
		t.Fatal(err)
	}
	publisher := client.NewPublisher(nil)
	t.Cleanup(func() { _ = publisher.Close() })
	unconfirmed, err := publisher.Publish(t.Context(), []order.Message{
		{Topic: roomy, Key: []byte("a"), Value: make([]byte, 2*limit)},
		{Topic: narrow, Key: []byte("b"), Value: make([]byte, 2*limit)},
	})
	if !errors.Is(err, order.ErrPublish) || !errors.Is(err, order.ErrTooLarge) {
		t.Errorf("error %v, want one that says too large", err)
	}
	if len(unconfirmed) != 1 || unconfirmed[0].Topic != narrow {
		t.Errorf("%d messages are not confirmed, want the one that is too large for its topic", len(unconfirmed))
	}
	for topic, want := range map[string]int64{roomy: 1, narrow: 0} {
		ranges, err := client.Ranges(t.Context(), topic)
		if err != nil || len(ranges) != 1 || ranges[0].To != want {
			t.Errorf("%s has %v (%v), want %d messages", topic, ranges, err, want)
		}
	}
}
