package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/testkit"
)

// fakeGroup is a group on a cluster of its own, that answers as the test wants.
type fakeGroup struct {
	*commitGroup
	cluster *kfake.Cluster
}

func newFakeGroup(t *testing.T) fakeGroup {
	t.Helper()
	return newFakeGroupOf(t, 1)
}

func newFakeGroupOf(t *testing.T, brokers int) fakeGroup {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(brokers))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return fakeGroup{newCommitGroupOn(t, &testkit.Servers{Brokers: cluster.ListenAddrs()}, 1), cluster}
}

// onFetch lets answer say what a fetch is told; nil leaves it to the cluster.
func (g fakeGroup) onFetch(answer func(offset int64) *kmsg.FetchResponseTopicPartition) {
	g.onFetchOf(func(req *kmsg.FetchRequest) *kmsg.FetchResponseTopicPartition {
		return answer(req.Topics[0].Partitions[0].FetchOffset)
	})
}

// onFetchOf is onFetch for those who look at more than the offset.
func (g fakeGroup) onFetchOf(answer func(*kmsg.FetchRequest) *kmsg.FetchResponseTopicPartition) {
	g.cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		g.cluster.KeepControl()
		req, _ := r.(*kmsg.FetchRequest)
		told := answer(req)
		if told == nil {
			return nil, nil, false
		}
		res, _ := req.ResponseKind().(*kmsg.FetchResponse)
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.Partitions = g.topic, []kmsg.FetchResponseTopicPartition{*told}
		res.Topics = append(res.Topics, topic)
		return res, nil, true
	})
}

// refuseBounds answers n questions for the bounds of the group's topic with an error.
func (g fakeGroup) refuseBounds(n int32) (left *atomic.Int32) {
	left = new(atomic.Int32)
	left.Store(n)
	g.cluster.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		g.cluster.KeepControl()
		req, _ := r.(*kmsg.ListOffsetsRequest)
		if req.Topics[0].Topic != g.topic || left.Add(-1) < 0 {
			return nil, nil, false
		}
		res, _ := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range req.Topics {
			topic := kmsg.NewListOffsetsResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				part := kmsg.NewListOffsetsResponseTopicPartition()
				part.Partition, part.ErrorCode = p.Partition, kerr.UnknownServerError.Code
				topic.Partitions = append(topic.Partitions, part)
			}
			res.Topics = append(res.Topics, topic)
		}
		return res, nil, true
	})
	return left
}

// batchAt is a batch of one record, or of none: what compaction leaves is the frame.
func batchAt(offset int64, keys ...string) []byte { return changedBatch(offset, keys) }

// changedBatch is a batch that is changed before it is summed up.
func changedBatch(offset int64, keys []string, change ...func(batch []byte)) []byte {
	const (
		framed = 12 // the length counts what follows it
		summed = 21 // the sum counts what follows it
	)
	b := kmsg.NewRecordBatch()
	b.FirstOffset, b.Magic, b.ProducerID, b.ProducerEpoch, b.FirstSequence = offset, 2, -1, -1, -1
	for _, key := range keys {
		r := kmsg.NewRecord()
		r.Key = []byte(key)
		r.Length = int32(len(r.AppendTo(nil)) - 1) //nolint:gosec // it is short; a length of zero is one byte
		b.Records, b.NumRecords = r.AppendTo(b.Records), b.NumRecords+1
	}
	bytes := b.AppendTo(nil)
	binary.BigEndian.PutUint32(bytes[framed-4:], uint32(len(bytes)-framed)) //nolint:gosec // it is short
	for _, c := range change {
		c(bytes)
	}
	binary.BigEndian.PutUint32(bytes[summed-4:], crc32.Checksum(bytes[summed:], crc32.MakeTable(crc32.Castagnoli)))
	return bytes
}

// TestEmptyBatchesAreReadOver: compaction leaves them. A
// broker that answers with nothing has not said that there is nothing: one that keeps
// old segments elsewhere may only not have them at hand.
func TestEmptyBatchesAreReadOver(t *testing.T) {
	t.Parallel()
	g := newFakeGroup(t)
	const empty = 5
	for range empty {
		g.send("compacted")
	}
	g.send("a")
	var met atomic.Int32
	g.onFetch(func(offset int64) *kmsg.FetchResponseTopicPartition {
		if offset >= empty {
			return nil
		}
		told := kmsg.NewFetchResponseTopicPartition()
		told.HighWatermark, told.LastStableOffset = empty+1, empty+1
		if met.Add(1) == 1 {
			return &told
		}
		for at := offset; at < empty; at++ {
			told.RecordBatches = append(told.RecordBatches, batchAt(at)...)
		}
		return &told
	})
	m := g.join()
	close(m.free)
	wait(t, "the message behind the empty batches", m.reached)
	m.stop()
	if n := g.committed(); n != empty+1 || met.Load() < 2 {
		t.Errorf("%d are committed, want %d; %d answers were made up", n, empty+1, met.Load())
	}
}

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

// TestALossIsNotForgottenWhileNobodyCanBeAsked: retention is faster than the reader,
// and just then nobody tells where the log begins.
func TestALossIsNotForgottenWhileNobodyCanBeAsked(t *testing.T) {
	t.Parallel()
	for name, jumps := range map[string]bool{"a broker that refuses the position": false, "a broker that jumps over the gap": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loseUnread(t, jumps)
		})
	}
}

func loseUnread(t *testing.T, jumps bool) {
	t.Helper()
	const first = 20 // of what is left; those before it are lost, but for what a question under way brings
	g := newFakeGroup(t)
	var held, released atomic.Bool
	g.onFetch(func(offset int64) *kmsg.FetchResponseTopicPartition {
		told := kmsg.NewFetchResponseTopicPartition()
		switch {
		case held.Load() && !released.Load():
			told.ErrorCode = kerr.LeaderNotAvailable.Code
		case released.Load() && jumps && offset < first:
			told.HighWatermark, told.LastStableOffset, told.RecordBatches = first+1, first+1, batchAt(first, "d")
		default:
			return nil
		}
		return &told
	})
	g.send("a")
	m := g.join()
	close(m.free)
	wait(t, "a transaction", m.reached)
	wait(t, "a commit", m.committed)
	held.Store(true)
	for range first {
		g.send("b")
	}
	g.servers.DeleteRecords(t, g.topic, 0, first)
	left := g.refuseBounds(3)
	released.Store(true)
	err := wait(t, "its end", m.ran)
	if !errors.Is(err, ErrDataLoss) || !strings.Contains(err.Error(), fmt.Sprintf("to %d (", first-1)) {
		t.Errorf("it ended with %v", err)
	}
	if left.Load() >= 0 {
		t.Error("the bounds were told all the time: nothing was tested")
	}
	m.ran <- nil // for the end of the test, which waits once more
}
