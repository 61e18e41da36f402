package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/workload"
)

// Shares of what goes wrong in a shop, of its orders.
const (
	duplicateShare = 0.02
	cancelShare    = 0.05
	brokenShare    = 0.01
	skew           = 1.1
	goodsPrefix    = "goods-"
)

// The best-selling goods run out after half of a wave, the others later, and
// the least wanted not at all.
const (
	scarceShare = 0.5
	amplePlus   = 0.65 // on top of it for the last one
)

// wave is a delivery of goods and the orders that are placed against it.
type wave struct {
	load *workload.Workload
	pull func() (workload.Item, bool)
	end  func()
	sent int // events that are in the log for certain
}

// newWave makes up the orders of the n-th wave, counted from one.
func newWave(n, orders, goods int, seed uint64) (*wave, error) {
	load, err := workload.New(workload.Config{
		Orders: orders, Goods: goods, Skew: skew, Seed: seed + uint64(n) - 1,
		DuplicateShare: duplicateShare, CancelShare: cancelShare, BrokenShare: brokenShare,
		// Another prefix for each wave: the same order with other goods is a
		// conflict.
		OrderPrefix: fmt.Sprintf("shop-%d-", n), GoodsPrefix: goodsPrefix,
	})
	if err != nil {
		return nil, err
	}
	w := &wave{load: load}
	w.pull, w.end = iter.Pull(load.Events())
	return w, nil
}

// messages are up to n next events; none when the wave is over.
func (w *wave) messages(topic string, n int) []order.Message {
	var list []order.Message
	for len(list) < n {
		item, more := w.pull()
		if !more {
			break
		}
		list = append(list, order.Message{Topic: topic, Key: item.Key, Value: item.Value})
	}
	return list
}

// shipment is what comes in with the wave. Of the goods that are withheld, the
// least wanted of those that are wanted at all, the catalogue learns only when
// an order has been retried because of them.
func (w *wave) shipment(withhold bool) (lines, withheld []stock.Line) {
	demand := w.load.Expect().Demand
	goods := slices.SortedFunc(maps.Keys(demand), func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	most := 0 // to be withheld
	if withhold {
		most = max(1, len(goods)/withholdOneIn)
	}
	for i, g := range slices.Backward(goods) {
		share := scarceShare
		if len(goods) > 1 {
			share += amplePlus * float64(i) / float64(len(goods)-1)
		}
		line := stock.Line{Goods: g, Num: max(1, int64(share*float64(demand[g])))}
		if len(withheld) < most && demand[g] > 0 {
			withheld = append(withheld, line)
		} else {
			lines = append(lines, line)
		}
	}
	return lines, withheld
}

// withholdOneIn is how many goods there are for each that is withheld.
const withholdOneIn = 100

// rank is the number of a goods; the lower, the more it is wanted.
func rank(goods string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(goods, goodsPrefix)) // we have named it
	return n
}

// warehouse puts goods into the stock and remembers how many, for the audit.
type warehouse struct {
	ledger *ledger.Ledger
	mu     sync.Mutex
	taken  map[string]int64 // what came in, by goods
}

// deliver puts lines on top of the stock.
func (h *warehouse) deliver(ctx context.Context, ref string, lines []stock.Line) error {
	_, err := h.ledger.Import(ctx, ledger.Import{Ref: ref, Mode: stock.Add, Lines: lines})
	if err != nil {
		return fmt.Errorf("deliver %d goods: %w", len(lines), err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, line := range lines {
		h.taken[line.Goods] += line.Num
	}
	return nil
}

// delivered is a copy of what came in so far, by goods.
func (h *warehouse) delivered() map[string]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.taken)
}

// listPoll is how often is looked whether an order waits for withheld goods.
const listPoll = 100 * time.Millisecond

// list delivers what was withheld as soon as an order stands in the first retry
// tier because of it: the catalogue catches up, the retry succeeds. When ctx
// ends before, nobody has asked for it.
func (s *shop) list(ctx context.Context, withheld []stock.Line) error {
	tick := time.NewTicker(listPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		ranges, err := s.client.Ranges(ctx, s.topics.Tiers[0].Topic)
		if err != nil {
			continue // ctx has ended, or the next look will tell
		}
		for _, r := range ranges {
			if r.Messages() > 0 {
				return s.warehouse.deliver(ctx, "listing", withheld)
			}
		}
	}
}
