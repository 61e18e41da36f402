package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"orderconsumer/internal/faultproxy"
	"orderconsumer/internal/order"
	"orderconsumer/internal/testkit"
)

// scanTimeout is less than the patience of a scan: what is waited for in vain
// does not pass.
const scanTimeout = scanPatience / 2

// scanWorld is one topic of one partition.
type scanWorld struct {
	t       *testing.T
	servers *testkit.Servers
	client  *Client
	topic   string
}

func newScanWorld(t *testing.T, configs ...string) scanWorld {
	t.Helper()
	w := scanWorld{t: t, servers: testkit.Start(t), topic: testkit.Unique("scan")}
	w.client = Connect(Config{Brokers: w.servers.Brokers, ClientID: "scan-test"})
	t.Cleanup(w.client.Close)
	w.servers.CreateTopic(t, w.topic, configs...)
	return w
}

// producer writes to the topic with another client: ours has no transactions.
func (w scanWorld) producer(options ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	// A broker that is busy learns late of the topic that was made for it a moment ago: it is asked
	// again for as long as the test lasts.
	p, err := kgo.NewClient(append(options, kgo.SeedBrokers(w.servers.Brokers...), kgo.DefaultProduceTopic(w.topic),
		kgo.UnknownTopicRetries(-1))...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.Close)
	return p
}

// produce appends records, a key each, as one batch.
func (w scanWorld) produce(p *kgo.Client, keys ...string) {
	w.t.Helper()
	var records []*kgo.Record
	for _, key := range keys {
		records = append(records, kgo.KeyStringRecord(key, "of "+key))
	}
	if err := p.ProduceSync(w.t.Context(), records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// end is the end of the log.
func (w scanWorld) end() int64 {
	w.t.Helper()
	ranges, err := w.client.Ranges(w.t.Context(), w.topic)
	if err != nil {
		w.t.Fatal(err)
	}
	return ranges[0].To
}

// scan is what is visited of a range.
func (w scanWorld) scan(client *Client, from, to int64) (offsets []int64, messages []order.Message) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), scanTimeout)
	defer cancel()
	err := client.Scan(ctx, []Range{{Topic: w.topic, From: from, To: to}}, func(m order.Message) error {
		offsets, messages = append(offsets, m.Offset), append(messages, m)
		return nil
	})
	if err != nil {
		w.t.Fatalf("scan [%d,%d): %v", from, to, err)
	}
	return offsets, messages
}

// holdsEachRange scans every range that the log has, and wants of each the
// offsets that are there.
func (w scanWorld) holdsEachRange(there []int64) {
	w.t.Helper()
	end := w.end()
	for from := range end {
		for to := from + 1; to <= end; to++ {
			want := slices.DeleteFunc(slices.Clone(there), func(o int64) bool { return o < from || o >= to })
			got, _ := w.scan(w.client, from, to)
			if !slices.Equal(got, want) {
				w.t.Errorf("[%d,%d) has %v, want %v", from, to, got, want)
			}
		}
	}
}

func TestScanEndsAtTheMarkerOfATransaction(t *testing.T) {
	t.Parallel()
	w := newScanWorld(t)
	p := w.producer(kgo.TransactionalID(w.topic))
	for n, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := p.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		w.produce(p, fmt.Sprint("a-", n), fmt.Sprint("b-", n))
		if err := p.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	// Two messages, the marker that they are committed, two more, the marker that they
	// are not. The readers of a group are given all six by the client library.
	w.holdsEachRange([]int64{0, 1, 2, 3, 4, 5})
}

func TestScanPassesOverWhatCompactionHasTaken(t *testing.T) {
	t.Parallel()
	w := newScanWorld(t, "cleanup.policy=compact", "min.cleanable.dirty.ratio=0.01", "segment.ms=100", "delete.retention.ms=0")
	p := w.producer()
	w.produce(p, "a", "b", "c", "d") // 0..3: a is left, and the end of the batch is a hole
	w.produce(p, "b")                // 4: nothing is left of it
	w.produce(p, "c", "e")           // 5, 6
	w.produce(p, "b", "d")           // 7, 8
	want := []int64{0, 5, 6, 7, 8}
	w.compacted(p, want)
	for last := int64(9); last < w.end(); last++ {
		want = append(want, last)
	}
	w.holdsEachRange(want)
}

// compacted returns when compaction has taken what it can below the offset 9. The
// last segment is never compacted, and a segment ends only when something is
// appended. A broker looks for something to compact every 15 s unless it is told
// otherwise, as scripts/servers does.
func (w scanWorld) compacted(p *kgo.Client, want []int64) {
	w.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var got []int64
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		if end := w.end(); end < 9+3 {
			w.produce(p, fmt.Sprint("last-", end)) // of these one ends the segment
		}
		if w.servers.Embedded != nil {
			w.servers.Embedded.Kafka.Compact()
		}
		if got, _ = w.scan(w.client, 0, 9); slices.Equal(got, want) {
			return
		}
	}
	w.t.Fatalf("compaction left %v, want %v", got, want)
}

func TestScanCopiesMessagesByteForByte(t *testing.T) {
	t.Parallel()
	w := newScanWorld(t)
	at := time.UnixMilli(1_764_000_000_123)
	records := []*kgo.Record{
		{Key: []byte("k"), Value: []byte{0, 0xff}, Timestamp: at, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte{0xff, 0}}, {Key: "h", Value: []byte("2")}}},
		{Key: nil, Value: nil, Timestamp: at}, // a tombstone without a key
		{Value: slices.Repeat([]byte("x"), 20<<10), Timestamp: at},
		{Key: []byte("last"), Value: []byte("v"), Timestamp: at},
	}
	p := w.producer()
	for _, r := range records {
		if err := p.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var want []order.Message
	for n, r := range records {
		m := order.Message{Topic: w.topic, Offset: int64(n), Key: r.Key, Value: r.Value, Time: at, Headers: []order.Header{}}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, order.Header(h))
		}
		want = append(want, m)
	}
	for from := range int64(len(want)) {
		_, got := w.scan(w.client, from, int64(len(want)))
		if diff := cmp.Diff(want[from:], got); diff != "" {
			t.Errorf("from %d (-want +got):\n%s", from, diff)
		}
	}
}

// TestScanNeedsNoQuickNetwork holds that a broker far away, or one that is slow to
// answer, is waited for: no answer here comes in less than two delays.
func TestScanNeedsNoQuickNetwork(t *testing.T) {
	t.Parallel()
	const delay = 50 * time.Millisecond
	w := newScanWorld(t)
	w.produce(w.producer(), "a", "b", "c")
	proxy, err := faultproxy.Start(faultproxy.Config{Target: w.servers.Brokers[0]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	proxy.SetDelay(delay)
	far := Connect(Config{Brokers: w.servers.Brokers, ClientID: "scan-test", Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, proxy.Addr())
	}})
	t.Cleanup(far.Close)
	if got, _ := w.scan(far, 0, 3); !slices.Equal(got, []int64{0, 1, 2}) {
		t.Errorf("visited %v", got)
	}
}

func TestScanNamesWhatRetentionHasTaken(t *testing.T) {
	t.Parallel()
	w := newScanWorld(t)
	w.produce(w.producer(), "a", "b", "c")
	w.servers.DeleteRecords(t, w.topic, 0, 2)
	err := w.client.Scan(t.Context(), []Range{{Topic: w.topic, From: 0, To: 3}}, func(order.Message) error { return nil })
	if !errors.Is(err, ErrDataLoss) || !strings.Contains(err.Error(), w.topic+"/0 from 0 up to 1") {
		t.Errorf("got %v", err)
	}
}

// TestOffsetsAtATimeBefore1970: such a time is a word to the broker.
func TestOffsetsAtATimeBefore1970(t *testing.T) {
	t.Parallel()
	w := newScanWorld(t)
	w.produce(w.producer(), "a", "b")
	for _, at := range []time.Time{time.UnixMilli(-1), time.UnixMilli(-2), time.UnixMilli(-1000)} {
		got, err := w.client.OffsetsAt(t.Context(), w.topic, at)
		if err != nil || got[0] != 0 {
			t.Errorf("offsets at %s: %v, %v, want the first", at, got, err)
		}
	}
}
