package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/order"
)

// Where in a batch what stands.
const (
	attributesAt = 21
	lastDeltaAt  = 23
	recordsAt    = 57
)

// upTo makes a batch stand for offsets up to last: compaction has taken the end of it.
func upTo(last int32) func([]byte) {
	return func(batch []byte) { binary.BigEndian.PutUint32(batch[lastDeltaAt:], uint32(last)) } //nolint:gosec // a small number
}

// unknownCodec marks a batch as compressed in a way that nobody knows.
func unknownCodec(batch []byte) { batch[attributesAt+1] = 5 }

// oneMore makes a batch say that it has two records.
func oneMore(batch []byte) { binary.BigEndian.PutUint32(batch[recordsAt:], 2) }

// made is an answer with one batch, of a log that ends at end.
func made(end int64, batch []byte) *kmsg.FetchResponseTopicPartition {
	told := kmsg.NewFetchResponseTopicPartition()
	told.HighWatermark, told.LastStableOffset, told.RecordBatches = end, end, batch
	return &told
}

// sendMany publishes so many orders.
func (g fakeGroup) sendMany(n int) {
	g.t.Helper()
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("k", i)
	}
	g.send(keys...)
}

// TestWhatABrokerSaysIsUnderstood: an answer of one that throttles, or has just lost the
// partition, is no sign that the log cannot be decoded.
func TestWhatABrokerSaysIsUnderstood(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		kafkago.NotLeaderForPartition, protocol.ErrNoTopic, protocol.ErrNoPartition, protocol.ErrNoLeader,
		&net.OpError{Op: "read", Err: errors.New("reset")}, io.ErrUnexpectedEOF, context.DeadlineExceeded,
	} {
		if !understood(fmt.Errorf("fetch: %w", err)) {
			t.Errorf("%v is taken for an answer that cannot be decoded", err)
		}
	}
	if understood(errors.New("not enough bytes available")) {
		t.Error("an answer that cannot be decoded is taken for one that was understood")
	}
}

// TestACompactedTailCostsAFewQuestions: what compaction has taken of the end of a batch
// is not asked for offset by offset, compressed or not.
func TestACompactedTailCostsAFewQuestions(t *testing.T) {
	t.Parallel()
	const tail = 100
	g := newFakeGroup(t)
	g.sendMany(tail + 1)
	var asked atomic.Int32
	g.onFetch(func(offset int64) *kmsg.FetchResponseTopicPartition {
		if offset >= tail {
			return nil
		}
		asked.Add(1)
		return made(tail+1, changedBatch(0, []string{"first"}, upTo(tail-1)))
	})
	var got []int64
	err := g.client.Scan(t.Context(), []Range{{Topic: g.topic, From: 0, To: tail + 1}}, func(m order.Message) error {
		got = append(got, m.Offset)
		return nil
	})
	if err != nil || len(got) != 2 || got[0] != 0 || got[1] != tail {
		t.Errorf("visited %v, %v", got, err)
	}
	if n := asked.Load(); n > 5 {
		t.Errorf("%d questions for a batch of %d offsets with one message", n, tail)
	}
}

// TestAStreamThatIsNotUnderstoodGivesWayToASingleStep: what comes for one batch may
// well be understood.
func TestAStreamThatIsNotUnderstoodGivesWayToASingleStep(t *testing.T) {
	t.Parallel()
	g := newFakeGroup(t)
	g.send("a", "b", "c")
	g.onFetchOf(func(req *kmsg.FetchRequest) *kmsg.FetchResponseTopicPartition {
		offset := req.Topics[0].Partitions[0].FetchOffset
		if req.MaxBytes == 1 || offset != 0 {
			return nil
		}
		return made(3, changedBatch(0, []string{"a"}, unknownCodec))
	})
	m := g.join()
	close(m.free)
	for range 3 {
		wait(t, "a transaction", m.reached)
	}
}

// TestAClientThatLosesItsPlaceGoesOnAtOnce: a broker that reads messages which were
// committed after it noted the log's end sends them as what comes behind the end.
func TestAClientThatLosesItsPlaceGoesOnAtOnce(t *testing.T) {
	t.Parallel()
	const places = 8 // one of them is the number of the next question, too
	g := newFakeGroup(t)
	lines := make(logLines, 100)
	g.log = lines
	var met [places]atomic.Int32
	g.onFetch(func(offset int64) *kmsg.FetchResponseTopicPartition {
		if offset < places && met[offset].Add(1) == 1 {
			return made(offset, batchAt(offset, "b"))
		}
		return nil
	})
	m := g.join()
	close(m.free)
	for n := range places {
		g.send(fmt.Sprint("k", n))
		wait(t, "a transaction", m.reached)
	}
	m.stop()
	for offset := range met {
		if met[offset].Load() < 2 {
			t.Errorf("at %d the client has not lost its place", offset)
		}
	}
	for range len(lines) {
		if line := <-lines; strings.Contains(line, "fetch failed") {
			t.Error("it rested:", line)
		}
	}
}

// TestWhatCannotBeDecodedIsNotPassedOver: it may be an order. The partition stands
// still, and the log has all that is needed to look at it and to decide.
func TestWhatCannotBeDecodedIsNotPassedOver(t *testing.T) {
	t.Parallel()
	for name, batch := range map[string][]byte{
		"nothing of the batch": changedBatch(1, []string{"b"}, upTo(0), unknownCodec),
		"a part of the batch":  changedBatch(0, []string{"a"}, upTo(1), oneMore),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newFakeGroup(t)
			lines := make(logLines, 100)
			g.log = lines
			g.send("a", "b", "c")
			g.onFetch(func(offset int64) *kmsg.FetchResponseTopicPartition {
				switch offset {
				case 0:
					return made(3, batchAt(0, "a"))
				case 1:
					return made(3, batch)
				}
				return nil
			})
			m := g.join()
			close(m.free)
			wait(t, "the commit of what stands before it", m.committed)
			line := lines.with(t, "stands still")
			for _, part := range []string{"level=ERROR", "topic=" + g.topic, "partition=0", "offset=1 ", "offsets", "consumer group reset --group=" + g.name} {
				if !strings.Contains(line, part) {
					t.Errorf("%q is not in %s", part, line)
				}
			}
			m.stop()
			if n := g.committed(); n != 1 {
				t.Errorf("%d are committed, want what stands before it", n)
			}
			err := g.client.Scan(t.Context(), []Range{{Topic: g.topic, From: 0, To: 3}}, func(order.Message) error { return nil })
			if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), g.topic+"/0") {
				t.Errorf("a scan ended with %v", err)
			}
		})
	}
}

// logLines are the lines of a log as they come.
type logLines chan string

func (l logLines) Write(line []byte) (int, error) {
	tell(l, string(line))
	return len(line), nil
}

// with waits for a line that has a text in it.
func (l logLines) with(t *testing.T, text string) string {
	t.Helper()
	for {
		if line := wait(t, text, l); strings.Contains(line, text) {
			return line
		}
	}
}
