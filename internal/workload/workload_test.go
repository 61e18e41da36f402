package workload_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"iter"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderconsumer/internal/order"
	"orderconsumer/internal/workload"
)

// standard is a small shop with everything in it.
func standard() workload.Config {
	return workload.Config{
		Orders: 20_000, Goods: 1000, Skew: 1.1,
		DuplicateShare: 0.02, CancelShare: 0.05, BrokenShare: 0.01, Seed: 7,
	}
}

func prepare(t testing.TB, cfg workload.Config) *workload.Workload {
	t.Helper()
	w, err := workload.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// digest is the hash of everything a workload sends.
func digest(w *workload.Workload) [sha256.Size]byte {
	h := sha256.New()
	for item := range w.Events() {
		h.Write(item.Key)
		h.Write(item.Value)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// first takes the first n of a sequence.
func first[T any](n int, seq iter.Seq[T]) []T {
	var got []T
	for v := range seq {
		got = append(got, v)
		if len(got) == n {
			break
		}
	}
	return got
}

func TestSeed(t *testing.T) {
	t.Parallel()

	t.Run("the same one gives the same bytes", func(t *testing.T) {
		t.Parallel()
		first := digest(prepare(t, standard()))
		if digest(prepare(t, standard())) != first {
			t.Error("two playings differ")
		}
	})
	t.Run("another one gives others", func(t *testing.T) {
		t.Parallel()
		other := standard()
		other.Seed++
		if digest(prepare(t, standard())) == digest(prepare(t, other)) {
			t.Error("the seed makes no difference")
		}
	})
	t.Run("is good for longer than one build", func(t *testing.T) {
		t.Parallel()
		var got []string
		for _, item := range first(2, prepare(t, standard()).Events()) {
			got = append(got, string(item.Value))
		}
		want := []string{
			`{"event_id":"01a205ec-9ef8-7966-83df-ac2b24ac86ae","type":"order.created","order_id":"order-00000001","occurred_at":"2026-11-23T01:02:03Z","items":[{"goods_id":"goods-107","num":2},{"goods_id":"goods-11","num":1}]}`,
			`{"event_id":"01a205ec-9efa-7298-a01c-fb7b6e3dd0d9","type":"order.created","order_id":"order-00000002","occurred_at":"2026-11-23T01:02:03.002Z","items":[{"goods_id":"goods-10","num":1},{"goods_id":"goods-369","num":2}]}`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what seed 7 meant yesterday (-) is not what it means now (+):\n%s", diff)
		}
	})
}

func TestEveryEventIsWhatItsKindSays(t *testing.T) {
	t.Parallel()
	broken := make(map[string]bool)
	rapid.Check(t, func(t *rapid.T) {
		w, err := workload.New(anyConfig(t))
		if err != nil {
			t.Fatal(err)
		}
		var lines [][]byte
		sent := make(map[string][]byte)
		ids := make(map[string]bool)
		for item := range w.Events() {
			e, err := order.Decode(&order.Message{Value: item.Value})
			switch {
			case bytes.ContainsAny(item.Value, "\r\n"):
				t.Fatalf("%s spans lines: %q", item.Kind, item.Value)
			case item.Kind == workload.Broken:
				fault, ok := errors.AsType[*order.Malformed](err)
				if !ok {
					t.Fatalf("broken event decodes: %q", item.Value)
				}
				broken[fault.Code] = true
				lines = append(lines, item.Value)
				if !bytes.Contains(item.Value, item.Key) || item.Event.OrderID != string(item.Key) {
					t.Fatalf("%q does not carry its marker %q", item.Value, item.Key)
				}
				continue
			case err != nil:
				t.Fatalf("%s does not decode: %v: %q", item.Kind, err, item.Value)
			}
			if !reflect.DeepEqual(item.Event, e) {
				t.Fatalf("%s says something else (-event +bytes):\n%s", item.Kind, cmp.Diff(item.Event, e))
			}
			if string(item.Key) != e.OrderID {
				t.Fatalf("key %q of order %q", item.Key, e.OrderID)
			}
			if item.Kind == workload.Duplicate {
				if !bytes.Equal(sent[e.OrderID], item.Value) {
					t.Fatalf("duplicate %q of %q", item.Value, sent[e.OrderID])
				}
				continue
			}
			if ids[e.ID] {
				t.Fatalf("event id %s twice", e.ID)
			}
			ids[e.ID] = true
			if item.Kind == workload.Created {
				if sent[e.OrderID] != nil {
					t.Fatalf("order %s created twice", e.OrderID)
				}
				sent[e.OrderID] = item.Value
			}
		}
		var want [][]byte
		for item := range w.BrokenItems() {
			want = append(want, item.Value)
		}
		if !reflect.DeepEqual(want, lines) {
			t.Fatalf("broken events (-told +sent):\n%s", cmp.Diff(want, lines))
		}
	})
	for _, code := range []string{
		order.CodeMalformedJSON, order.CodeSchemaInvalid, order.CodeDuplicateMember, order.CodeInvalidUTF8,
	} {
		if !broken[code] {
			t.Errorf("no broken event was %s", code)
		}
	}
}

// anyConfig draws a small config.
func anyConfig(t *rapid.T) workload.Config {
	share := rapid.SampledFrom([]float64{0, 0.01, 0.3, 1})
	linesMin := rapid.IntRange(1, 5).Draw(t, "lines min")
	return workload.Config{
		Orders:         rapid.IntRange(1, 300).Draw(t, "orders"),
		Goods:          rapid.IntRange(1, 50).Draw(t, "goods"),
		Skew:           rapid.SampledFrom([]float64{0, 0.9, 1.1, 10}).Draw(t, "skew"),
		LinesMin:       linesMin,
		LinesMax:       linesMin + rapid.IntRange(0, 5).Draw(t, "more lines"),
		NumMax:         rapid.IntRange(1, 9).Draw(t, "num"),
		DuplicateShare: share.Draw(t, "duplicates"),
		CancelShare:    share.Draw(t, "cancellations"),
		BrokenShare:    share.Draw(t, "broken"),
		Seed:           rapid.Uint64().Draw(t, "seed"),
	}
}

func TestTruthIsWhatIsSent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := anyConfig(t)
		w, err := workload.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		// Read the stream as somebody would who knows nothing of the workload.
		got := workload.Expect{Demand: make(map[string]int64)}
		created := make(map[string]workload.Order)
		cancelled := make(map[string]workload.Cancellation)
		duplicated := make(map[string]bool)
		for item := range w.Events() {
			id := item.Event.OrderID
			switch item.Kind {
			case workload.Created:
				got.Orders++
				created[id] = workload.Order{ID: id, Lines: item.Event.Lines}
				for _, line := range item.Event.Lines {
					got.Demand[line.Goods] += line.Num
				}
			case workload.Duplicate:
				got.Duplicates++
				duplicated[id] = true
			case workload.Cancelled:
				got.Cancelled++
				cancelled[id] = workload.CancelledAfter
				if _, ok := created[id]; !ok {
					cancelled[id] = workload.CancelledBefore
					got.CancelledFirst++
				}
			case workload.Broken:
				got.Broken++
			}
		}
		want := w.Expect()
		for goods, demand := range want.Demand {
			if demand == 0 {
				delete(want.Demand, goods)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("expected (-told +sent):\n%s", diff)
		}
		n := 0
		for told := range w.Orders() {
			sent := created[told.ID]
			sent.Cancelled, sent.Duplicated = cancelled[told.ID], duplicated[told.ID]
			if !reflect.DeepEqual(told, sent) {
				t.Fatalf("order (-told +sent):\n%s", cmp.Diff(told, sent))
			}
			n++
		}
		if n != cfg.Orders {
			t.Fatalf("told of %d orders of %d", n, cfg.Orders)
		}
	})
}

func TestShares(t *testing.T) {
	t.Parallel()
	cfg := standard()
	cfg.Orders = 100_000
	e := prepare(t, cfg).Expect()
	for _, tt := range []struct {
		name string
		got  int
		want float64
	}{
		{"duplicates", e.Duplicates, 2000},
		{"cancelled", e.Cancelled, 5000},
		{"cancelled first", e.CancelledFirst, 500},
		{"broken", e.Broken, 1000},
	} {
		// Five standard deviations of a binomial: one seed in a million is worse.
		if tolerance := 5 * math.Sqrt(tt.want); math.Abs(float64(tt.got)-tt.want) > tolerance {
			t.Errorf("%s: %d, want %.0f +- %.0f", tt.name, tt.got, tt.want, tolerance)
		}
	}
	if got := e.Events(); got != 100_000+e.Duplicates+e.Cancelled+e.Broken {
		t.Errorf("%d events", got)
	}
}

func TestDuplicatesComeAtOnceAndLater(t *testing.T) {
	t.Parallel()
	cfg := standard()
	cfg.CancelShare, cfg.BrokenShare = 0, 0
	atOnce, later, last := 0, 0, ""
	for item := range prepare(t, cfg).Events() {
		switch {
		case item.Kind != workload.Duplicate:
			last = item.Event.OrderID
		case item.Event.OrderID == last:
			atOnce++
		default:
			later++
		}
	}
	if atOnce < 100 || later < 100 {
		t.Errorf("%d at once, %d later", atOnce, later)
	}
}

func TestSkew(t *testing.T) {
	t.Parallel()
	// demand of the first goods, of the hundredth, and of all.
	demand := func(skew float64) (most, less, all float64) {
		cfg := standard()
		cfg.Skew, cfg.LinesMin, cfg.LinesMax, cfg.NumMax = skew, 1, 1, 1
		d := prepare(t, cfg).Expect().Demand
		return float64(d["goods-1"]), float64(d["goods-100"]), float64(cfg.Orders)
	}
	t.Run("none wants all goods alike", func(t *testing.T) {
		t.Parallel()
		most, less, _ := demand(0)
		if most > 45 || less > 45 || most < 3 || less < 3 { // 20 on average
			t.Errorf("got %v and %v", most, less)
		}
	})
	t.Run("is Zipf's law", func(t *testing.T) {
		t.Parallel()
		for _, s := range []float64{0.8, 1.1, 2} {
			most, less, all := demand(s)
			sum := 0.0
			for k := 1; k <= 1000; k++ {
				sum += math.Pow(float64(k), -s)
			}
			for k, got := range map[float64]float64{1: most, 100: less} {
				want := all * math.Pow(k, -s) / sum
				if math.Abs(got-want) > 5*math.Sqrt(want) {
					t.Errorf("skew %v: goods %v is wanted %v times, want %.0f", s, k, got, want)
				}
			}
		}
	})
}

func TestStock(t *testing.T) {
	t.Parallel()
	e := workload.Expect{Demand: map[string]int64{"b": 10, "a": 7, "c": 0}}
	got := e.Stock(0.6)
	if len(got) != 3 || got[0].Goods != "a" || got[0].Num != 5 || got[1].Goods != "b" || got[1].Num != 6 ||
		got[2].Goods != "c" || got[2].Num != 1 {
		t.Errorf("got %v", got)
	}
}

func TestStreamCanBeLeft(t *testing.T) {
	t.Parallel()
	cfg := standard()
	cfg.Orders = 1000
	w := prepare(t, cfg)
	total := w.Expect().Events()
	all := first(total, w.Events())
	if len(all) != total {
		t.Fatalf("%d events, want %d", len(all), total)
	}
	for _, n := range []int{1, 2, 100, 1001, total - 1} {
		if !reflect.DeepEqual(all[:n], first(n, w.Events())) {
			t.Errorf("left after %d: not the beginning of all", n)
		}
	}
}

func TestImpossibleWorkloads(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*workload.Config){
		"no orders":               func(c *workload.Config) { c.Orders = 0 },
		"too many orders":         func(c *workload.Config) { c.Orders = workload.MaxOrders + 1 },
		"no goods":                func(c *workload.Config) { c.Goods = 0 },
		"a share over one":        func(c *workload.Config) { c.BrokenShare = 1.1 },
		"a share that is none":    func(c *workload.Config) { c.CancelShare = math.NaN() },
		"a skew that is none":     func(c *workload.Config) { c.Skew = math.NaN() },
		"a negative skew":         func(c *workload.Config) { c.Skew = -1 },
		"lines upside down":       func(c *workload.Config) { c.LinesMin, c.LinesMax = 3, 2 },
		"more lines than allowed": func(c *workload.Config) { c.LinesMax = order.MaxItems + 1 },
		"a num over the limit":    func(c *workload.Config) { c.NumMax = order.MaxNum + 1 },
		"a long order prefix":     func(c *workload.Config) { c.OrderPrefix = strings.Repeat("x", 50) },
		"a tab in a prefix":       func(c *workload.Config) { c.GoodsPrefix = "\t" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := standard()
			change(&cfg)
			_, err := workload.New(cfg)
			if !errors.Is(err, workload.ErrConfig) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func BenchmarkEvents(b *testing.B) {
	cfg := standard()
	cfg.Orders = 1_000_000
	w := prepare(b, cfg)
	b.ReportAllocs()
	n := 0
	for range w.Events() {
		if n++; n == b.N {
			break
		}
	}
}
