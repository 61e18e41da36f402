package kafka

import "testing"

// TestALogThatBecomesShorterIsReadAnew: a topic that is deleted and made again
// between two looks of the client has nothing at the position of its reader, and
// nobody would ever notice.
func TestALogThatBecomesShorterIsReadAnew(t *testing.T) {
	t.Parallel()
	g := newCommitGroup(t, 1)
	g.send("a", "b", "c", "d", "e")
	m := g.join(func(c *ConsumerConfig) { c.AcceptDataLoss = true }) // what the group has committed is of the former log
	close(m.free)
	for range 5 {
		wait(t, "a transaction", m.reached)
	}
	for g.committed() < 5 {
		wait(t, "a commit", m.committed)
	}
	if err := g.client.DeleteTopics(t.Context(), []string{g.topic}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.client.EnsureTopics(t.Context(), []TopicSpec{{Name: g.topic, Partitions: 1, Replication: 1}}); err != nil {
		t.Fatal(err)
	}
	g.send("f", "g")
	for range 2 {
		wait(t, "a transaction of the new log", m.reached)
	}
}
