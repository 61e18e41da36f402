package publish

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/workload"
)

// sample is a small shop with something of everything, and the flags for it.
var sampleFlags = []string{
	"--orders", "2000", "--goods", "50", "--skew", "0.9", "--lines-min", "2", "--lines-max", "4", "--num-max", "2",
	"--duplicates", "0.1", "--cancellations", "0.2", "--broken", "0.05", "--seed", "7", "--start", "2026-11-23T01:02:03Z",
}

func sampleShop(t *testing.T) *workload.Workload {
	t.Helper()
	shop, err := workload.New(workload.Config{
		Orders: 2000, Goods: 50, Skew: 0.9, LinesMin: 2, LinesMax: 4, NumMax: 2,
		DuplicateShare: 0.1, CancelShare: 0.2, BrokenShare: 0.05, Seed: 7, OrderPrefix: "order-7-",
	})
	if err != nil {
		t.Fatal(err)
	}
	return shop
}

func TestGeneratePublishesItsWorkload(t *testing.T) {
	t.Parallel()
	k := newKiosk(t)
	shop := sampleShop(t)
	got := k.call("", "generate", append([]string{"-o", "json"}, sampleFlags...)...)
	expect := shop.Expect()
	got.expect(t, cli.ExitOK, fmt.Sprintf("seed 7: 2000 orders, %d duplicates, %d cancellations, %d broken events",
		expect.Duplicates, expect.Cancelled, expect.Broken))
	sum := answered[generateSummary](t, got)
	sum.Seconds, sum.PerSecond = 0, 0
	want := generateSummary{
		publishSummary: publishSummary{Topic: k.topic, Published: int64(expect.Events())},
		Seed:           7, Orders: 2000, Duplicates: expect.Duplicates, Cancelled: expect.Cancelled, Broken: expect.Broken,
	}
	if sum != want {
		t.Errorf("got %+v, want %+v", sum, want)
	}
	var values []string
	for item := range shop.Events() {
		values = append(values, string(item.Value))
	}
	if diff := cmp.Diff(sorted(values...), k.values()); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	broken := 0
	for _, m := range k.published() {
		e, err := order.Decode(&m)
		if err != nil {
			broken++
			continue
		}
		if id, _ := m.Header(order.HeaderID); string(m.Key) != e.OrderID || string(id) != e.ID {
			t.Fatalf("key %q and id %q of %+v", m.Key, id, e)
		}
	}
	if broken != expect.Broken {
		t.Errorf("%d events are broken, want %d: headers have mended some", broken, expect.Broken)
	}
}

func TestGeneratePrints(t *testing.T) {
	t.Parallel()
	k := newKiosk(t)
	var want bytes.Buffer
	for item := range sampleShop(t).Events() {
		want.Write(append(item.Value, '\n'))
	}
	got := k.call("", "generate", append([]string{"--print", "--kafka-brokers", "127.0.0.1:1"}, sampleFlags...)...)
	got.expect(t, cli.ExitOK, "events, seed 7\n")
	if got.stdout != want.String() {
		t.Error("what is printed is not the workload")
	}
	// What is printed can be published; what is broken is then found out.
	broken := sampleShop(t).Expect().Broken
	k.call(got.stdout, "publish").expect(t, cli.ExitFailed, fmt.Sprintf("failed %d (%d invalid", broken, broken))
	var failed []string
	for item := range sampleShop(t).BrokenItems() {
		failed = append(failed, string(item.Value))
	}
	if diff := cmp.Diff(strings.Join(failed, "\n")+"\n", k.content(k.failures())); diff != "" {
		t.Errorf("failed file (-want +got):\n%s", diff)
	}
}

func TestGenerateWritesAStock(t *testing.T) {
	t.Parallel()
	k := newKiosk(t)
	file := filepath.Join(k.folder, "stock.csv")
	args := append([]string{"--stock-file", file, "--stock-only", "--stock-share", "0.5", "--goods-prefix", `a,"b" `}, sampleFlags...)
	k.call("", "generate", args...).expect(t, cli.ExitOK, "stock of 50 goods for 50 % of the demand is in "+file, "try: consumer stock import "+file)
	if n := len(k.published()); n != 0 {
		t.Errorf("%d messages were published", n)
	}
	text := k.content(file)
	if !strings.HasPrefix(text, "goods_id,num\n\"a,\"\"b\"\" 1\",") || strings.Count(text, "\n") != 51 {
		t.Errorf("got %q", text)
	}
}

func TestGenerateChoosesASeed(t *testing.T) {
	t.Parallel()
	k := newKiosk(t)
	first := k.call("", "generate", "--orders", "5", "--print")
	second := k.call("", "generate", "--orders", "5", "--print")
	first.expect(t, cli.ExitOK, ", seed ")
	if first.stdout == second.stdout || strings.Count(first.stdout, "\n") < 5 {
		t.Errorf("got %q and %q", first.stdout, second.stdout)
	}
}

func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	k := newKiosk(t)
	for want, args := range map[string][]string{
		"both want standard output":           {"--print", "-o", "json"},
		"--rate is -1, must be at least 0":    {"--print", "--rate=-1"}, // once it hung for ever
		"--rate is NaN":                       {"--print", "--rate=NaN"},
		"--stock-only needs --stock-file":     {"--stock-only"},
		"--stock-share is -1":                 {"--stock-share=-1"},
		`--start is "yesterday"`:              {"--start", "yesterday"},
		"share of broken is 2":                {"--broken", "2"},
		"number of orders is 0":               {"--orders", "0"},
		"no such file or directory":           {"--stock-file", filepath.Join(k.folder, "no", "where")},
		"lines of an order is 3..2, must be ": {"--lines-min", "3", "--lines-max", "2"},
	} {
		k.call("", "generate", args...).expect(t, cli.ExitUsage, want)
	}
	if n := len(k.published()); n != 0 {
		t.Errorf("%d messages were published", n)
	}
}

func TestGenerateIsStopped(t *testing.T) {
	t.Parallel()

	t.Run("by a signal: the seed that goes on is named", func(t *testing.T) {
		t.Parallel()
		k := newKiosk(t)
		signals := make(chan os.Signal, 2)
		answers := make(chan ending, 1)
		go func() {
			answers <- k.callUnder(signals, nil, "generate", append([]string{"--rate", "50", "-o", "json"}, sampleFlags...)...)
		}()
		k.untilPublished(7)
		signals <- os.Interrupt
		got := <-answers
		got.expect(t, cli.ExitFailed, "stopped by interrupt: 0 of ", "try: the same command with --seed 7")
		if sum := answered[generateSummary](t, got); !sum.Stopped || sum.Published < 7 || sum.Published > 1000 {
			t.Errorf("got %+v", sum)
		}
	})

	t.Run("by a broker that confirms nothing: only what was under way is kept", func(t *testing.T) {
		t.Parallel()
		k := newFakeKiosk(t)
		k.cluster.Fault(kfake.Fault{Keys: produce, Err: kerr.NotEnoughReplicas, Count: -1})
		got := k.call("", "generate", slices.Concat(sampleFlags, []string{"--orders", "100000", "--timeout", "1s"})...)
		got.expect(t, cli.ExitFailed, "giving up: nothing was confirmed for 1s", "were not made", "published 0 ")
		kept := strings.Count(k.content(k.failures()), "\n")
		if kept == 0 || kept > aheadMessages+2*batchMessages {
			t.Errorf("%d events are kept", kept)
		}
	})
}
