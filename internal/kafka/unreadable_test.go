package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

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

// TestWhatIsGarbledOnItsWayIsAskedForAgain: once is no sign that the log is broken.
func TestWhatIsGarbledOnItsWayIsAskedForAgain(t *testing.T) {
	t.Parallel()
	g := newFakeGroup(t)
	g.send("a", "b", "c")
	var met atomic.Int32
	g.onFetch(func(offset int64) *kmsg.FetchResponseTopicPartition {
		if offset != 0 || met.Add(1) == garbledMost {
			return nil
		}
		garbled := batchAt(0, "a")
		garbled[len(garbled)-1]++ // and its sum is that of what was sent
		return made(3, garbled)
	})
	m := g.join()
	close(m.free)
	for range 3 {
		wait(t, "a transaction", m.reached)
	}
	if n := met.Load(); n != garbledMost {
		t.Errorf("asked %d times, want %d", n, garbledMost)
	}
}

// TestMessagesBehindTheEndAreRead: a broker that notes the log's end and then reads
// sends messages which were committed in between as what comes behind the end.
func TestMessagesBehindTheEndAreRead(t *testing.T) {
	t.Parallel()
	const places = 8
	g := newFakeGroup(t)
	var sent atomic.Int64
	g.onFetch(func(offset int64) *kmsg.FetchResponseTopicPartition {
		if offset < sent.Load() {
			return made(offset, batchAt(offset, "b"))
		}
		return made(offset, nil)
	})
	m := g.join()
	close(m.free)
	for n := range places {
		g.send(fmt.Sprint("k", n))
		sent.Add(1)
		for g.committed() <= int64(n) {
			wait(t, "a commit", m.committed)
		}
	}
	m.stop()
	if n := g.committed(); n != places {
		t.Errorf("%d are committed, want %d", n, places)
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
