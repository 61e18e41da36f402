package kafka

import (
	"context"
	"slices"
	"testing"

	"orderconsumer/internal/testkit"
)

func TestTopicsThatWereDeletedCanBeCreatedAgain(t *testing.T) {
	t.Parallel()
	servers := testkit.Start(t)
	client := Connect(Config{Brokers: servers.Brokers, ClientID: "topics-test"})
	t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(t.Context(), describeTimeout)
	t.Cleanup(cancel)
	specs := []TopicSpec{
		{Name: testkit.Unique("passing"), Partitions: 3, Replication: 1},
		{Name: testkit.Unique("passing"), Partitions: 1, Replication: 1},
	}
	for range 2 {
		created, err := client.EnsureTopics(ctx, specs)
		if err != nil || !slices.Equal(created, names(specs)) {
			t.Fatalf("created %v, %v, want %v", created, err, names(specs))
		}
		if err := client.DeleteTopics(ctx, names(specs)); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.DeleteTopics(ctx, names(specs)); err != nil {
		t.Errorf("topics that are gone already: %v", err)
	}
}

func TestDeleteGroup(t *testing.T) {
	t.Parallel()
	servers := testkit.Start(t)
	client := Connect(Config{Brokers: servers.Brokers, ClientID: "topics-test"})
	t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(t.Context(), describeTimeout)
	t.Cleanup(cancel)
	topic, group := testkit.Unique("deleted"), testkit.Unique("deleted")
	_, err := client.EnsureTopics(ctx, []TopicSpec{{Name: topic, Partitions: 1, Replication: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), describeTimeout)
		defer cancel()
		if err := client.DeleteTopics(ctx, []string{topic}); err != nil {
			t.Error(err)
		}
	})
	t.Run("a group with a member stays", func(t *testing.T) {
		join(ctx, t, client, group, topic)
		if err := client.DeleteGroup(ctx, group); err == nil {
			t.Error("a group with a member was deleted")
		}
	})
	t.Run("one that its members have left goes, and may be gone already", func(t *testing.T) {
		for range 2 {
			if err := client.DeleteGroup(ctx, group); err != nil {
				t.Error(err)
			}
		}
		got, err := client.DescribeGroup(ctx, group)
		if err != nil || got.State != "Dead" {
			t.Errorf("got %v, %v, want a dead group", got, err)
		}
	})
}
