package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kafkago "github.com/segmentio/kafka-go"

	"orderconsumer/internal/testkit"
)

// describeTimeout ends a test whose question is not answered.
const describeTimeout = 30 * time.Second

func TestDescribe(t *testing.T) {
	t.Parallel()
	servers := testkit.Start(t)
	client := Connect(Config{Brokers: servers.Brokers, ClientID: "describe-test"})
	t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(t.Context(), describeTimeout)
	t.Cleanup(cancel)
	topic := testkit.Unique("described")
	_, err := client.EnsureTopics(ctx, []TopicSpec{
		{Name: topic, Partitions: 3, Replication: 1, MaxMessageBytes: 2_000_000},
		{Name: topic + "-kept", Partitions: 1, Replication: 1, Retention: Forever},
	})
	if err != nil {
		t.Fatal(err)
	}

	t.Run("a topic has its partitions and settings, one that is not there is left out", func(t *testing.T) {
		t.Parallel()
		got, err := client.DescribeTopics(ctx, []string{topic, topic + "-kept", topic + "-nonsuch"})
		if err != nil {
			t.Fatal(err)
		}
		kept := got[topic+"-kept"]
		if kept.Retention >= 0 || kept.RetentionBytes >= 0 {
			t.Errorf("a topic that nothing is removed from: %+v", kept)
		}
		delete(got, topic+"-kept")
		want := map[string]Topic{topic: {Name: topic, Partitions: 3, Replication: 1, MinInSync: 1, MaxMessageBytes: 2_000_000,
			Retention: 7 * 24 * time.Hour, RetentionBytes: -1}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("topics (-want +got):\n%s", diff)
		}
	})
	t.Run("topics that are all missing are no error", func(t *testing.T) {
		t.Parallel()
		got, err := client.DescribeTopics(ctx, []string{topic + "-nonsuch"})
		if err != nil || len(got) != 0 {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("a group that nobody has joined is dead", func(t *testing.T) {
		t.Parallel()
		got, err := client.DescribeGroup(ctx, testkit.Unique("nobody"))
		if diff := cmp.Diff(Group{State: "Dead"}, got); diff != "" || err != nil {
			t.Errorf("group: %v (-want +got):\n%s", err, diff)
		}
	})
	t.Run("a group tells its members and what they were given", func(t *testing.T) {
		t.Parallel()
		name := testkit.Unique("group")
		join(ctx, t, client, name, topic)
		got, err := client.DescribeGroup(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != "Stable" || len(got.Members) != 1 || got.Members[0].Partitions != 3 ||
			got.Members[0].ClientID != "describe-test" || got.Members[0].Host == "" {
			t.Errorf("got %+v", got)
		}
	})
}

// join makes this process a member of the group until the test ends.
func join(ctx context.Context, t *testing.T, client *Client, name, topic string) {
	t.Helper()
	group, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: name, Brokers: client.Brokers(), Dialer: client.dialer, Topics: []string{topic},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = group.Close() })
	_, err = group.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
}

func TestDescribeWithoutBrokers(t *testing.T) {
	t.Parallel()
	client := Connect(Config{Brokers: []string{"127.0.0.1:1"}})
	t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(t.Context(), describeTimeout)
	defer cancel()
	_, err := client.DescribeTopics(ctx, []string{"orders"})
	if err == nil {
		t.Error("topics were described by nobody")
	}
	_, err = client.DescribeGroup(ctx, "group")
	if err == nil {
		t.Error("a group was described by nobody")
	}
}
