package kafka

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestTheInputIsReadBeforeTheTiers: a member that has just been given its partitions
// begins with those of the input. Here the first look at the input's bounds fails, and
// the tiers, which have none to look at, could be read at once.
func TestTheInputIsReadBeforeTheTiers(t *testing.T) {
	t.Parallel()
	g := newFakeGroup(t)
	tier := g.topic + ".tier"
	if _, err := g.client.EnsureTopics(t.Context(), []TopicSpec{{Name: tier, Partitions: 2, Replication: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := g.client.SetOffsets(t.Context(), g.name, map[string]map[int]int64{g.topic: {0: 0}}); err != nil {
		t.Fatal(err)
	}
	left := g.refuseBounds(2) // for the first of the log and for its end
	read := make(chan string, 1)
	g.onFetchOf(func(req *kmsg.FetchRequest) *kmsg.FetchResponseTopicPartition {
		if req.Topics[0].Topic == tier && left.Load() >= 0 {
			tell(read, tier)
		}
		if req.Topics[0].Topic == g.topic {
			tell(read, g.topic)
		}
		return nil
	})
	g.join(func(c *ConsumerConfig) {
		c.Topics = []string{tier, g.topic}
		c.Delays = map[string]time.Duration{tier: time.Second}
	})
	if first := wait(t, "a look at a partition", read); first != g.topic {
		t.Errorf("%s is read before the input's bounds are known", first)
	}
}

// TestATierDoesNotWaitForEver: it waits for every partition of the input, each counted
// once, but no longer than inputsFirstFor.
func TestATierDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newInputsFirst(2)
		first, second := f.one(), f.one()
		first()
		first()
		began := time.Now()
		if err := f.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != inputsFirstFor {
			t.Errorf("with one of two partitions missing it waited %s, want %s", took, inputsFirstFor)
		}
		second()
		began = time.Now()
		if err := f.wait(t.Context()); err != nil || time.Since(began) > 0 {
			t.Errorf("with none missing it waited %s: %v", time.Since(began), err)
		}
		if err := newInputsFirst(0).wait(t.Context()); err != nil || time.Since(began) > 0 {
			t.Errorf("without an input it waited %s: %v", time.Since(began), err)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if err := newInputsFirst(1).wait(ended); err == nil {
			t.Error("it waited although it was told to stop")
		}
	})
}
