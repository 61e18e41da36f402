package publish

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
)

// sorted returns the texts in order.
func sorted(texts ...string) []string {
	slices.Sort(texts)
	return texts
}

func TestPublishLines(t *testing.T) {
	t.Parallel()

	t.Run("arrive byte for byte, whatever ends them", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		odd := `{ "order_id" : 7, "type":"order.created",  "items":[{"num":"2","goods_id":421}], "note": "\u00e4" } `
		file := k.file("orders.jsonl", cli.ByteOrderMark+creates("A-1", "421", 2)+"\r\n\r\n  \n"+odd+"\n"+cancels("A-1"))
		got := k.call("", "publish", "--file", file)
		got.expect(t, cli.ExitOK, "published 3 to "+k.topic+", failed 0, ")
		if got.stdout != "" {
			t.Errorf("standard output: %q", got.stdout)
		}
		want := sorted(creates("A-1", "421", 2), odd, cancels("A-1"))
		if diff := cmp.Diff(want, k.values()); diff != "" {
			t.Errorf("values (-want +got):\n%s", diff)
		}
		if text := k.content(k.failures()); text != "" {
			t.Errorf("failed file holds %q", text)
		}
	})

	t.Run("carry the order as their key and the event in their headers", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		event := `{"event_id":"e-1","type":"order.created","order_id":"A-1","occurred_at":"2026-11-23T02:02:03.5+01:00","items":[{"goods_id":"421","num":2}]}`
		bare := `{"type":"order.cancelled","order_id":"A-1"}`
		k.call(event+"\n"+bare+"\n", "publish", "--source", "/till").expect(t, cli.ExitOK)
		messages := k.published()
		if len(messages) != 2 || string(messages[0].Key) != "A-1" || string(messages[1].Key) != "A-1" {
			t.Fatalf("got %v", messages)
		}
		headers := func(m order.Message) map[string]string {
			all := make(map[string]string)
			for _, h := range m.Headers {
				all[h.Key] = string(h.Value)
			}
			return all
		}
		for i, want := range []map[string]string{
			{
				"ce_specversion": "1.0", "ce_id": "e-1", "ce_type": "order.created", "ce_source": "/till",
				"ce_time": "2026-11-23T01:02:03.500Z", "content-type": "application/json",
			},
			{
				"ce_specversion": "1.0", "ce_id": "order.cancelled:A-1", "ce_type": "order.cancelled", "ce_source": "/till",
				"content-type": "application/json",
			},
		} {
			if diff := cmp.Diff(want, headers(messages[i])); diff != "" {
				t.Errorf("headers of message %d (-want +got):\n%s", i, diff)
			}
			decoded, err := order.Decode(&messages[i])
			if err != nil || decoded.OrderID != "A-1" {
				t.Errorf("message %d decodes to %v, %v", i, decoded, err)
			}
		}
	})

	t.Run("of one order keep their order among thousands", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		const orders = 3000
		var text strings.Builder
		for i := range orders {
			fmt.Fprintln(&text, creates(fmt.Sprint("A-", i), "421", 1))
		}
		for i := range orders {
			fmt.Fprintln(&text, cancels(fmt.Sprint("A-", i)))
		}
		k.call(text.String(), "publish").expect(t, cli.ExitOK, fmt.Sprintf("published %d ", 2*orders))
		created := make(map[string]bool)
		cancelled := 0
		for _, m := range k.published() {
			e, err := order.Decode(&m)
			switch {
			case err != nil:
				t.Fatal(err)
			case e.Type == order.Created:
				created[e.OrderID] = true
			case !created[e.OrderID]:
				t.Fatalf("order %s is cancelled before it is created", e.OrderID)
			default:
				cancelled++
			}
		}
		if len(created) != orders || cancelled != orders {
			t.Errorf("%d created, %d cancelled", len(created), cancelled)
		}
	})
}

// TestPublishRepeatsLinesWhenAskedTo is the other setting of LOG_PAYLOADS; masked is
// the default of all other tests.
func TestPublishRepeatsLinesWhenAskedTo(t *testing.T) {
	t.Parallel()
	const wrong = `{"type":"order.created","order_id":"A-2","items":[{"goods_id":"1","num":"many"}]}`
	k := newKiosk(t)
	k.call(wrong, "publish", "--log-payloads=shown").
		expect(t, cli.ExitFailed, `line 1: schema_invalid at /items/0/num: got "many", want 1..1000000000`)
	k.call("A-1,421,many", "publish", "--log-payloads=shown", "--format=csv").
		expect(t, cli.ExitFailed, `line 1: num is "many", want 1..1000000000`)
}

func TestPublishInvalidLines(t *testing.T) {
	t.Parallel()
	const short, cut = `{"type":"order.created","order_id":"A-2","items":[{"goods_id":"1","num":0}]}`, `{"order_id":`

	t.Run("are kept byte for byte and the others are published", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		good := creates("A-1", "421", 2)
		got := k.call(good+"\n"+short+"\r\n"+cut, "publish", "-o", "json")
		got.expect(t, cli.ExitFailed,
			"line 2: schema_invalid at /items/0/num: got (masked), want 1..1000000000\n", "line 3: malformed_json: (masked) at byte 12\n",
			"producer: 2 of 3 events were not published: they are in "+k.failures(),
			"try: correct "+k.failures()+", then producer publish --topic "+k.topic+" --file "+k.failures())
		if diff := cmp.Diff([]string{good}, k.values()); diff != "" {
			t.Errorf("values (-want +got):\n%s", diff)
		}
		if got, want := k.content(k.failures()), short+"\r\n"+cut+"\n"; got != want {
			t.Errorf("failed file holds %q, want %q", got, want)
		}
		sum := answered[publishSummary](t, got)
		if sum.Seconds <= 0 || sum.PerSecond <= 0 {
			t.Errorf("got %+v", sum)
		}
		sum.Seconds, sum.PerSecond = 0, 0
		want := publishSummary{Topic: k.topic, Published: 1, Failed: 2, Invalid: 2, FailedFile: k.failures()}
		if sum != want {
			t.Errorf("got %+v, want %+v", sum, want)
		}
	})

	t.Run("are published when that is asked for, under the order id that could be read", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		k.call(short+"\n\n"+cut+"\n", "publish", "--force").expect(t, cli.ExitOK, "published 2 ")
		if diff := cmp.Diff(sorted(short, cut), k.values()); diff != "" {
			t.Errorf("values (-want +got):\n%s", diff)
		}
		for _, m := range k.published() {
			if string(m.Value) == short && string(m.Key) != "A-2" {
				t.Errorf("key %q", m.Key)
			}
			if string(m.Value) == cut && (m.Key != nil || len(m.Headers) != 1 || m.Headers[0].Key != order.HeaderContentType) {
				t.Errorf("what cannot be read has key %q and headers %v", m.Key, m.Headers)
			}
			if _, err := order.Decode(&m); err == nil {
				t.Errorf("headers have mended %q", m.Value)
			}
		}
	})

	t.Run("are named only as long as anybody reads on", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		got := k.call(strings.Repeat(cut+"\n", 1000), "publish")
		got.expect(t, cli.ExitFailed, "line 10: ", "... and 990 more\n")
		if strings.Contains(got.stderr, "line 11: ") {
			t.Error("line 11 is named")
		}
		if got, want := k.content(k.failures()), strings.Repeat(cut+"\n", 1000); got != want {
			t.Errorf("failed file holds %d bytes, want %d", len(got), len(want))
		}
	})

	t.Run("that are endless are kept without being held in memory", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		long := strings.Repeat("x", 3*maxLineBytes)
		good := creates("A-1", "421", 2)
		got := k.call(good+"\n"+long+"\n"+cancels("A-1")+"\n"+long, "publish")
		got.expect(t, cli.ExitFailed, "line 2: too_large: more than 4194304 bytes", "line 4: too_large", "published 2 ", "failed 2 ")
		if got, want := k.content(k.failures()), long+"\n"+long; got != want {
			t.Errorf("failed file holds %d bytes, want %d", len(got), len(want))
		}
	})

	t.Run("are added to those of an earlier run", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		k.call(short+"\n", "publish").expect(t, cli.ExitFailed, "they are in "+k.failures())
		k.call(cut+"\n", "publish").expect(t, cli.ExitFailed, "they were added to "+k.failures())
		if got, want := k.content(k.failures()), short+"\n"+cut+"\n"; got != want {
			t.Errorf("failed file holds %q, want %q", got, want)
		}
	})

	t.Run("that could not be kept are an error before anything is published", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		for _, path := range []string{k.folder, filepath.Join(k.folder, "nowhere", "x")} {
			for _, command := range []string{"publish", "generate"} {
				k.call(creates("A-1", "421", 1)+"\n", command, "--failed-file", path).expect(t, cli.ExitUsage,
					"nothing was published: open "+path, "try: the same command with --failed-file ")
			}
		}
		nested := k.file("orders.csv", "A-1,421,1\n")
		if err := os.Mkdir(nested+".failed.csv", 0o700); err != nil {
			t.Fatal(err)
		}
		var said lockedBuffer
		code := program().RunUnder(nil, []string{
			"publish", "--kafka-brokers", strings.Join(k.brokers, ","), "--topic", k.topic, "--file", nested,
		}, cli.Streams{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &said})
		ending{code: code, stderr: said.String()}.expect(t, cli.ExitUsage, "nothing was published: open "+nested+".failed.csv")
		if n := len(k.published()); n != 0 {
			t.Errorf("%d messages were published", n)
		}
	})

	t.Run("leave no file behind when there are none", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		k.call(creates("A-1", "421", 1)+"\n", "publish").expect(t, cli.ExitOK)
		if _, err := os.Stat(k.failures()); !os.IsNotExist(err) {
			t.Errorf("the failed file is there: %v", err)
		}
	})
}

func TestPublishWhatIsNoFileOfEvents(t *testing.T) {
	t.Parallel()
	k := newKiosk(t)
	array := k.file("orders.json", "\n[\n  "+creates("A-1", "421", 2)+"\n]\n")
	for _, tt := range []struct {
		name string
		args []string
		code cli.Exit
		said []string
	}{
		{"an array", []string{"-f", array}, cli.ExitUsage, []string{"is a JSON array: events stand one on a line", "try: jq -c '.[]' " + array}},
		{"a file that is not there", []string{"-f", "nowhere.jsonl"}, cli.ExitUsage, []string{"nowhere.jsonl: no such file"}},
		{"a folder", []string{"-f", k.folder}, cli.ExitUsage, []string{"is a folder"}},
		{"the failed file itself", []string{"-f", array, "--failed-file", array}, cli.ExitUsage, []string{"at the same time"}},
		{"an unknown format", []string{"--format", "xml"}, cli.ExitUsage, []string{"--format", "try: producer publish --help"}},
		{"a rate below zero", []string{"--rate=-1"}, cli.ExitUsage, []string{"--rate is -1"}},
		{"no time at all", []string{"--timeout=0s"}, cli.ExitUsage, []string{"--timeout is 0s"}},
		{"a broker without a port", []string{"--kafka-brokers=localhost"}, cli.ExitUsage, []string{`broker "localhost" has no port`}},
		{"nothing", nil, cli.ExitOK, []string{"published 0 "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k.call("", "publish", tt.args...).expect(t, tt.code, tt.said...)
		})
	}
	if n := len(k.published()); n != 0 {
		t.Errorf("%d messages were published", n)
	}
}

func TestPublishWithoutABroker(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		stop bool
	}{{"that listens and does not answer", false}, {"that does not listen", true}} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.stop {
				listener.Close()
			}
			k := &kiosk{t: t, folder: t.TempDir(), topic: "orders", brokers: []string{listener.Addr().String()}}
			began := time.Now()
			got := k.call(creates("A-1", "421", 2), "publish")
			got.expect(t, cli.ExitUnreachable, "no answer from Kafka at "+listener.Addr().String(), "try: scripts/servers up, and set KAFKA_BROKERS")
			if took := time.Since(began); took > 2*settings.ReachTimeout {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestPublishToAMissingTopic(t *testing.T) {
	t.Parallel()
	k := newKiosk(t)
	k.topic += "-2"
	event := creates("A-1", "421", 2)
	k.call(event, "publish").expect(t, cli.ExitFailed, "topic "+k.topic+" at ", "does not exist",
		"try: go run ./cmd/consumer run, which creates its topics, or this command with --create --partitions 12")
	k.call(event, "publish", "--create", "--partitions", "5").expect(t, cli.ExitOK, "published 1 ")
	k.connect() // the other client remembers that there is no such topic
	ranges, err := k.client.Ranges(t.Context(), k.topic)
	if err != nil || len(ranges) != 5 {
		t.Errorf("%d partitions, %v", len(ranges), err)
	}
}

// produce is the request that faults are about.
var produce = []kmsg.Key{kmsg.Produce}

// findTooLarge has what a request brings for a partition refused when text is part of it.
func (k *kiosk) findTooLarge(text string) {
	for n := range int32(kioskPartitions) {
		k.cluster.Fault(kfake.Fault{Keys: produce, Partitions: []int32{n}, Err: kerr.MessageTooLarge, Count: -1, When: func(r kmsg.Request) bool {
			request, ok := r.(*kmsg.ProduceRequest)
			return ok && slices.ContainsFunc(request.Topics[0].Partitions, func(p kmsg.ProduceRequestTopicPartition) bool {
				return p.Partition == n && strings.Contains(string(p.Records), text)
			})
		}})
	}
}

func TestPublishWhenKafkaRefuses(t *testing.T) {
	t.Parallel()

	t.Run("for a moment, everything arrives in the end", func(t *testing.T) {
		t.Parallel()
		k := newFakeKiosk(t)
		k.cluster.Fault(kfake.Fault{Keys: produce, Err: kerr.NotEnoughReplicas, Count: 12})
		var want []string
		for i := range 50 {
			want = append(want, creates(fmt.Sprint("A-", i), "421", 1))
		}
		got := k.call(strings.Join(want, "\n"), "publish")
		got.expect(t, cli.ExitOK, "not confirmed, trying again for 30s", "confirmed, going on", "published 50 ")
		if diff := cmp.Diff(sorted(want...), k.values()); diff != "" {
			t.Errorf("values (-want +got):\n%s", diff)
		}
	})

	t.Run("one message, the others of its batch arrive", func(t *testing.T) {
		t.Parallel()
		k := newFakeKiosk(t)
		k.findTooLarge(`"order_id":"A-7"`)
		var want []string
		for i := range 100 {
			want = append(want, creates(fmt.Sprint("A-", i), "421", 1))
		}
		got := k.call(strings.Join(want, "\n"), "publish")
		refused := want[7]
		got.expect(t, cli.ExitFailed, "line 8: ", "Message Size Too Large", "published 99 ", "failed 1 (0 invalid, 1 undelivered)",
			"try: raise max.message.bytes of topic "+k.topic)
		if strings.Contains(got.stderr, "producer publish --topic") {
			t.Errorf("it is to be published again as it is:\n%s", got.stderr)
		}
		if diff := cmp.Diff(sorted(slices.Delete(want, 7, 8)...), k.values()); diff != "" {
			t.Errorf("values (-want +got):\n%s", diff)
		}
		if got := k.content(k.failures()); got != refused+"\n" {
			t.Errorf("failed file holds %q", got)
		}
	})

	t.Run("many, but never many in a row, it goes on to the end", func(t *testing.T) {
		t.Parallel()
		k := newFakeKiosk(t)
		k.findTooLarge(`"goods_id":"large"`)
		var text strings.Builder
		for i := range 3 * refusedMost {
			goods := "small"
			if i%2 == 1 {
				goods = "large"
			}
			fmt.Fprintln(&text, creates(fmt.Sprint("A-", i), goods, 1))
		}
		k.call(text.String(), "publish").expect(t, cli.ExitFailed, "published 30 ", "failed 30 ")
		if n := len(k.published()); n != 30 {
			t.Errorf("%d messages arrived", n)
		}
	})

	t.Run("everything for good, the input is kept and few are tried", func(t *testing.T) {
		t.Parallel()
		k := newFakeKiosk(t)
		handle := k.cluster.Fault(kfake.Fault{Keys: produce, Err: kerr.TopicAuthorizationFailed, Count: -1})
		text := ""
		for i := range 300 {
			text += creates(fmt.Sprint("A-", i), "421", 1) + "\n"
		}
		got := k.call(text, "publish")
		got.expect(t, cli.ExitFailed, "giving up: 20 messages in a row were refused", "published 0 ", "300 of 300 events were not published")
		if got := k.content(k.failures()); got != text {
			t.Errorf("failed file holds %d bytes, want %d", len(got), len(text))
		}
		if hits := handle.Hits(); hits > 300 {
			t.Errorf("%d requests", hits)
		}
	})

	t.Run("to confirm anything for too long, all of the input is kept", func(t *testing.T) {
		t.Parallel()
		k := newFakeKiosk(t)
		k.cluster.Fault(kfake.Fault{Keys: produce, Err: kerr.NotEnoughReplicas, Count: -1})
		text := ""
		for i := range 3 * batchMessages {
			text += creates(fmt.Sprint("A-", i), "421", 1) + "\n"
		}
		file := k.file("orders.jsonl", text)
		got := k.call("", "publish", "--file", file, "--timeout", "1s")
		got.expect(t, cli.ExitFailed, "giving up: nothing was confirmed for 1s", "published 0 ", fmt.Sprintf("failed %d ", 3*batchMessages))
		if got := k.content(k.failures()); got != text {
			t.Errorf("failed file holds %d bytes, want %d", len(got), len(text))
		}
	})
}

func TestPublishKeepsRequestsUnderWhatATopicTakesByDefault(t *testing.T) {
	t.Parallel()
	k := newFakeKiosk(t)
	var largest atomic.Int64
	k.cluster.Fault(kfake.Fault{Keys: produce, Count: -1, Observe: true, When: func(r kmsg.Request) bool {
		request, ok := r.(*kmsg.ProduceRequest)
		if ok {
			largest.Store(max(largest.Load(), int64(len(request.Topics[0].Partitions[0].Records))))
		}
		return true
	}})
	event := strings.TrimSuffix(creates("A-1", "421", 2), "}") + `,"note":"` + strings.Repeat("x", 10_000) + `"}`
	k.call(strings.Repeat(event+"\n", 500), "publish").expect(t, cli.ExitOK, "published 500 ")
	if n := largest.Load(); n > 1<<20 || n < int64(len(event)) {
		t.Errorf("the largest request has %d bytes", n)
	}
}

// TestBatchesAreFullWhereThereIsEnough: what lies ready goes together, up to the bounds.
func TestBatchesAreFullWhereThereIsEnough(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size int
		want []int
	}{
		"bounded by bytes":    {batchBytes / 10, []int{9, 9, 9, 3}},
		"bounded by messages": {10, []int{batchMessages, batchMessages, 1}},
	} {
		parcels := 0
		for _, n := range c.want {
			parcels += n
		}
		ahead := make(chan parcel, parcels)
		for range parcels {
			ahead <- parcel{message: order.Message{Value: make([]byte, c.size)}}
		}
		close(ahead)
		var got []int
		for batch := range batches(ahead) {
			got = append(got, len(batch))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: batches of %v, want %v", name, got, c.want)
		}
	}
}

func TestPublishIsStopped(t *testing.T) {
	t.Parallel()

	t.Run("once: what has been read is published, and where to go on is said", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		signals := make(chan os.Signal, 2)
		stdin, keys := io.Pipe()
		defer keys.Close() // lets go of the goroutine that reads
		answers := make(chan ending, 1)
		go func() { answers <- k.callUnder(signals, stdin, "publish") }()
		fmt.Fprintf(keys, "%s\nbad\n", creates("A-1", "421", 2))
		k.untilPublished(1)
		signals <- os.Interrupt
		got := <-answers
		got.expect(t, cli.ExitFailed, "published 1 ", "stopped by interrupt after line ", "what follows was not read")
	})

	t.Run("in the middle of a file: the next command goes on exactly there", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		text := ""
		for i := range 1000 {
			text += creates(fmt.Sprint("A-", i), "421", 1) + "\n"
		}
		file := k.file("orders.jsonl", text)
		signals := make(chan os.Signal, 2)
		answers := make(chan ending, 1)
		go func() {
			answers <- k.callUnder(signals, nil, "publish", "--file", file, "--rate", "50", "-o", "json")
		}()
		k.untilPublished(7)
		signals <- os.Interrupt
		got := <-answers
		sum := answered[publishSummary](t, got)
		if !sum.Stopped || sum.Published < 7 || sum.Published >= 1000 || sum.Failed != 0 {
			t.Errorf("got %+v", sum)
		}
		got.expect(t, cli.ExitFailed, fmt.Sprintf("stopped by interrupt after line %d of %s", sum.Published, file),
			fmt.Sprintf("try: tail -n +%d %s | producer publish --topic %s --format jsonl", sum.Published+1, file, k.topic))
	})

	t.Run("in the middle of an order: it is not published by halves", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		signals := make(chan os.Signal, 2)
		stdin, keys := io.Pipe()
		defer keys.Close() // lets go of the goroutine that reads
		answers := make(chan ending, 1)
		go func() { answers <- k.callUnder(signals, stdin, "publish") }()
		fmt.Fprint(keys, "A-1,421,1\nA-1,422,1\nA-2,421,1\n")
		k.untilPublished(1)
		signals <- os.Interrupt
		got := <-answers
		got.expect(t, cli.ExitFailed, "published 1 ", "stopped by interrupt after line 2 of -")
		if n := len(k.published()); n != 1 {
			t.Errorf("%d orders were published", n)
		}
	})

	t.Run("twice: what is under way is kept at once", func(t *testing.T) {
		t.Parallel()
		k := newFakeKiosk(t)
		fault := k.cluster.Fault(kfake.Fault{Keys: produce, Err: kerr.NotEnoughReplicas, Count: -1})
		signals := make(chan os.Signal, 2)
		event := creates("A-1", "421", 2)
		answers := make(chan ending, 1)
		go func() {
			answers <- k.callUnder(signals, strings.NewReader(event), "publish", "--timeout", "10m")
		}()
		err := fault.Wait(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		signals <- os.Interrupt
		signals <- os.Interrupt
		got := <-answers
		got.expect(t, cli.ExitFailed, "line 1: stopped by interrupt", "published 0 ", "failed 1 ")
		if got := k.content(k.failures()); got != event+"\n" {
			t.Errorf("failed file holds %q", got)
		}
	})

	t.Run("twice while the broker does not answer: it is not waited for", func(t *testing.T) {
		t.Parallel()
		k := newFakeKiosk(t)
		swallowed := make(chan struct{}, 100)
		k.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			k.cluster.KeepControl()
			swallowed <- struct{}{}
			return nil, nil, true
		})
		signals := make(chan os.Signal, 2)
		answers := make(chan ending, 1)
		go func() {
			answers <- k.callUnder(signals, strings.NewReader(creates("A-1", "421", 2)), "publish", "--timeout", "10m")
		}()
		<-swallowed
		began := time.Now()
		signals <- os.Interrupt
		signals <- os.Interrupt
		got := <-answers
		if took := time.Since(began); took > patience { // and its --timeout is ten times that
			t.Errorf("it took %s", took)
		}
		got.expect(t, cli.ExitFailed, "line 1: stopped by interrupt", "failed 1 ")
		if strings.Contains(got.stderr, "trying again") {
			t.Errorf("it talks of trying again: %s", got.stderr)
		}
	})
}
