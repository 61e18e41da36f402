package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"orderconsumer/internal/order"
	"orderconsumer/internal/proof"
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
func audited(t *testing.T, cfg shopConfig, lie func(ctx context.Context, honest order.Ledger, r *stock.Request) (stock.Decision, bool)) (*shop, *proof.Report) {
	t.Helper()
	w := testWorld(t, ports{http: noHTTP})
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
	found, err := s.audit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s, found
}

func expectFinding(t *testing.T, r *proof.Report, text string) {
	t.Helper()
	if !slices.ContainsFunc(r.Findings, func(found string) bool { return strings.Contains(found, text) }) {
		t.Errorf("the audit did not find %q, but %q", text, r.Findings)
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
	s, r := audited(t, smallShop, nil)
	if !r.Clean() {
		t.Fatalf("findings of an honest shop: %q", r.Findings)
	}

	t.Run("goods that were not delivered are oversold", func(t *testing.T) {
		came := s.warehouse.taken["goods-1"]
		s.warehouse.taken["goods-1"] = 1
		defer func() { s.warehouse.taken["goods-1"] = came }()
		r, err := s.audit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		left, err := s.ledger.Get(t.Context(), "goods-1")
		if err != nil {
			t.Fatal(err)
		}
		if sold := came - left.Available; r.Oversold != sold-1 || sold < 2 {
			t.Errorf("%d oversold, want %d", r.Oversold, sold-1)
		}
		expectFinding(t, r, "of goods-1 were sold, 1 delivered")
	})
	t.Run("events that were never published are lost", func(t *testing.T) {
		other, err := newWave(2, 100, 12, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer other.end()
		other.sent = 10
		s.waves = append(s.waves, other)
		defer func() { s.waves = s.waves[:1] }()
		r, err := s.audit(t.Context())
		if err != nil || r.Lost != 10 {
			t.Errorf("%v, %d lost: %q", err, r.Lost, r.Findings)
		}
	})
}

func TestGoodsAreDeliveredAgainAndStrangersDie(t *testing.T) {
	t.Parallel()
	s, r := audited(t, shopConfig{orders: 500, waveOrders: 200, goods: 12, seed: 4, strangeEvery: 150}, nil)
	if !r.Clean() {
		t.Errorf("findings: %q", r.Findings)
	}
	if len(s.waves) != 3 || s.strange < 3 {
		t.Errorf("%d waves and %d strangers", len(s.waves), s.strange)
	}
	broken := 0
	for _, w := range s.waves {
		broken += w.load.Expect().Broken
	}
	if r.Dead != int64(broken+s.strange) {
		t.Errorf("%d dead letters of %d broken events and %d strangers", r.Dead, broken, s.strange)
	}
	if r.Retried < int64(s.strange*len(retryAfter)) {
		t.Errorf("%d retries: the strangers should have been through all tiers", r.Retried)
	}
}

func TestAuditFindsWhatALedgerConceals(t *testing.T) {
	t.Parallel()
	chosen := aCreation(plainOrder)

	t.Run("an order that was answered and not written is lost", func(t *testing.T) {
		t.Parallel()
		_, found := audited(t, smallShop, func(_ context.Context, _ order.Ledger, r *stock.Request) (stock.Decision, bool) {
			return stock.Decision{Verdict: stock.Applied, Record: stock.Record{
				Order: r.Order, State: stock.Deducted, Lines: r.Lines, Origin: r.Origin, Attempts: 1,
			}}, chosen(r)
		})
		if found.Lost != 1 {
			t.Errorf("%d lost: %q", found.Lost, found.Findings)
		}
		expectFinding(t, found, plainOrder+" is not in the ledger")
	})
	t.Run("an order that was deducted twice does not add up", func(t *testing.T) {
		t.Parallel()
		var once sync.Once
		_, found := audited(t, smallShop, func(ctx context.Context, honest order.Ledger, r *stock.Request) (stock.Decision, bool) {
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
		expectFinding(t, found, "the ledger has 301 orders, the log 300")
		expectFinding(t, found, "delivered")
	})
	t.Run("an order that is rejected for no reason is noticed", func(t *testing.T) {
		t.Parallel()
		_, found := audited(t, smallShop, func(ctx context.Context, honest order.Ledger, r *stock.Request) (stock.Decision, bool) {
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
		expectFinding(t, found, plainOrder+" was rejected because of")
		expectFinding(t, found, plainOrder+" asked for")
	})
}
