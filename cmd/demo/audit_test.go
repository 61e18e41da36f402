package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// liar is a ledger that does something else than it says with one order.
type liar struct {
	order.Ledger
	lie func(ctx context.Context, honest order.Ledger, r *stock.Request) (stock.Decision, bool)
}

func (l liar) Apply(ctx context.Context, requests []stock.Request) ([]stock.Decision, error) {
	var rest []stock.Request
	lies := make(map[int]stock.Decision)
	for i := range requests {
		if d, lied := l.lie(ctx, l.Ledger, &requests[i]); lied {
			lies[i] = d
		} else {
			rest = append(rest, requests[i])
		}
	}
	decisions, err := l.Ledger.Apply(ctx, rest)
	if err != nil {
		return nil, err
	}
	for i := range requests {
		if d, lied := lies[i]; lied {
			decisions = slices.Insert(decisions, i, d)
		}
	}
	return decisions, nil
}

// smallShop is what most audits are of.
var smallShop = shopConfig{orders: 300, goods: 12, seed: 3}

// audited runs a shop to its end with a ledger that may lie, and audits it.
func audited(t *testing.T, cfg shopConfig, lie func(ctx context.Context, honest order.Ledger, r *stock.Request) (stock.Decision, bool)) (*shop, *evidence, *findings) {
	t.Helper()
	w, err := openWorld(t.Context(), ports{http: noHTTP})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	s, err := openShop(t.Context(), w, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	c, err := w.startConsumer(ctx, func(honest order.Ledger) order.Ledger {
		if lie == nil {
			return honest
		}
		return liar{Ledger: honest, lie: lie}
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.run(ctx, ctx, c, func(int64) {})
	if ended := c.close(); err != nil || ended != nil {
		t.Fatal(err, ended)
	}
	e, _, f, err := s.audit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s, e, f
}

func expectFinding(t *testing.T, f *findings, text string) {
	t.Helper()
	if !slices.ContainsFunc(f.texts, func(found string) bool { return strings.Contains(found, text) }) {
		t.Errorf("the audit did not find %q, but %q", text, f.texts)
	}
}

// aCreation picks one order that is created and never cancelled, and each of
// its events.
func aCreation(id string) func(*stock.Request) bool {
	return func(r *stock.Request) bool { return r.Order == id && r.Action == stock.Deduct }
}

// plainOrder is an order of the shop of audited, neither cancelled nor sent
// twice, that comes early enough to be deducted.
const plainOrder = "shop-1-00000002"

func TestAuditOfAnHonestShop(t *testing.T) {
	t.Parallel()
	s, e, f := audited(t, smallShop, nil)
	if !f.clean() {
		t.Fatalf("findings of an honest shop: %q", f.texts)
	}

	t.Run("goods that were not delivered are oversold", func(t *testing.T) {
		came := s.warehouse.taken["goods-1"]
		s.warehouse.taken["goods-1"] = 1
		defer func() { s.warehouse.taken["goods-1"] = came }()
		_, b, f, err := s.audit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if sold := came - b.levels["goods-1"].Available; f.oversold != sold-1 || sold < 2 {
			t.Errorf("%d oversold, want %d", f.oversold, sold-1)
		}
		expectFinding(t, f, "of goods-1 were sold, 1 delivered")
	})
	t.Run("an event that was published and is not in the log is lost", func(t *testing.T) {
		f := &findings{}
		for item := range s.waves[0].load.Events() {
			delete(e.events, item.Event.ID)
			break
		}
		e.checkWave(s.waves[0], f)
		if f.lost != 1 {
			t.Errorf("%d lost: %q", f.lost, f.texts)
		}
	})
	t.Run("a broken event that is not among the dead letters is lost", func(t *testing.T) {
		e.bodies = nil
		f := &findings{}
		e.checkWave(s.waves[0], f)
		if broken := int64(s.waves[0].load.Expect().Broken); f.lost < broken || broken == 0 {
			t.Errorf("%d lost of %d broken: %q", f.lost, broken, f.texts)
		}
	})
}

func TestGoodsAreDeliveredAgainAndStrangersDie(t *testing.T) {
	t.Parallel()
	s, e, f := audited(t, shopConfig{orders: 500, waveOrders: 200, goods: 12, seed: 4, strangeEvery: 150}, nil)
	if !f.clean() {
		t.Errorf("findings: %q", f.texts)
	}
	if len(s.waves) != 3 || s.strange < 3 {
		t.Errorf("%d waves and %d strangers", len(s.waves), s.strange)
	}
	broken := 0
	for _, w := range s.waves {
		broken += w.load.Expect().Broken
	}
	if len(e.letters) != broken+s.strange {
		t.Errorf("%d dead letters of %d broken events and %d strangers", len(e.letters), broken, s.strange)
	}
	if e.retried < int64(s.strange*len(retryAfter)) {
		t.Errorf("%d retries: the strangers should have been through all tiers", e.retried)
	}
}

func TestAuditFindsWhatALedgerConceals(t *testing.T) {
	t.Parallel()
	chosen := aCreation(plainOrder)

	t.Run("an order that was answered and not written is lost", func(t *testing.T) {
		t.Parallel()
		_, _, f := audited(t, smallShop, func(_ context.Context, _ order.Ledger, r *stock.Request) (stock.Decision, bool) {
			return stock.Decision{Verdict: stock.Applied, Record: stock.Record{
				Order: r.Order, State: stock.Deducted, Lines: r.Lines, Origin: r.Origin, Attempts: 1,
			}}, chosen(r)
		})
		if f.lost != 1 {
			t.Errorf("%d lost: %q", f.lost, f.texts)
		}
		expectFinding(t, f, plainOrder+" is not in the ledger")
	})
	t.Run("an order that was deducted twice does not add up", func(t *testing.T) {
		t.Parallel()
		var once sync.Once
		_, _, f := audited(t, smallShop, func(ctx context.Context, honest order.Ledger, r *stock.Request) (stock.Decision, bool) {
			if chosen(r) {
				once.Do(func() {
					again := *r
					again.Order = "ghost"
					_, err := honest.Apply(ctx, []stock.Request{again})
					if err != nil {
						t.Error(err)
					}
				})
			}
			return stock.Decision{}, false
		})
		expectFinding(t, f, "the ledger has 301 orders, the log 300")
		expectFinding(t, f, "delivered")
	})
	t.Run("an order that is rejected for no reason is noticed", func(t *testing.T) {
		t.Parallel()
		_, _, f := audited(t, smallShop, func(ctx context.Context, honest order.Ledger, r *stock.Request) (stock.Decision, bool) {
			if !chosen(r) {
				return stock.Decision{}, false
			}
			want := *r
			want.Lines = []stock.Line{{Goods: r.Lines[0].Goods, Num: order.MaxNum}}
			decisions, err := honest.Apply(ctx, []stock.Request{want})
			if err != nil {
				t.Error(err)
				return stock.Decision{}, false
			}
			return decisions[0], true
		})
		expectFinding(t, f, plainOrder+" was rejected because of")
		expectFinding(t, f, plainOrder+" asked for")
	})
}

func TestEvidenceAboutOneEvent(t *testing.T) {
	t.Parallel()
	at := stock.Origin{Topic: "orders", Partition: 2, Offset: 5}
	broken := order.Message{Topic: at.Topic, Partition: at.Partition, Offset: at.Offset, Key: []byte("k"), Value: []byte("{")}
	good := broken
	good.Value = []byte(`{"event_id":"e","type":"order.created","order_id":"k","items":[{"goods_id":"1","num":1}]}`)
	other := broken
	other.Value = []byte("[")
	for _, tt := range []struct {
		name    string
		event   order.Message
		settled bool
		parked  bool
		letter  *order.Message
		death   bool
		answer  *answer
		lost    int64
		wrong   int
	}{
		{name: "a broken event that is a dead letter", event: broken, settled: true, letter: &broken, death: true},
		{name: "a broken event that is not", event: broken, settled: true, lost: 1, wrong: 1},
		{name: "a broken event that nobody has come to", event: broken},
		{name: "an event that a retry tier still holds", event: good, settled: true, parked: true},
		{name: "a dead letter with other bytes", event: broken, settled: true, letter: &other, death: true, lost: 1, wrong: 1},
		{name: "a dead letter without outcome", event: broken, settled: true, letter: &broken, lost: 1, wrong: 1},
		{name: "a good event with an outcome", event: good, settled: true, answer: &answer{kind: order.OutcomeDeducted}},
		{name: "two outcomes that contradict each other", event: good, settled: true,
			answer: &answer{kind: order.OutcomeDeducted, other: order.OutcomeRejected}, wrong: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEvidence()
			if tt.letter != nil {
				e.letters[at] = *tt.letter
			}
			e.deaths[at], e.parked[at] = tt.death, tt.parked
			if tt.answer != nil {
				e.answers["e"] = tt.answer
			}
			f := &findings{}
			e.event(&tt.event, tt.settled, f)
			if f.lost != tt.lost || f.count != tt.wrong {
				t.Errorf("%d lost, %d wrong, want %d and %d: %q", f.lost, f.count, tt.lost, tt.wrong, f.texts)
			}
		})
	}
	t.Run("an event without an outcome is lost with its order's account", func(t *testing.T) {
		t.Parallel()
		e, f := newEvidence(), &findings{}
		e.event(&good, true, f)
		e.checkOrders(&books{records: map[string]stock.Record{"k": {
			Order: "k", State: stock.Deducted, Lines: []stock.Line{{Goods: "1", Num: 1}},
		}}}, f)
		if f.lost != 1 {
			t.Errorf("%d lost: %q", f.lost, f.texts)
		}
	})
}
