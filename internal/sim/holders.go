package sim

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"orderconsumer/internal/order"
)

// holders stands beside the lock. The orders come out right without any lock, so
// they say nothing about it; the lock makes promises of its own: nobody is granted
// goods of which somebody else has not been told that he lost them, and whoever
// loses them by the hand of Redis is told before the time is over for which they
// were granted. All clocks are one here, so both hold exactly.
type holders struct {
	world *world

	mu      sync.Mutex
	held    map[string]*grant // by goods: to whom they were granted last
	removed map[string]int    // how often the key of goods was removed from outside
	emptied int               // how often all of them were
}

func newHolders(w *world) *holders {
	return &holders{world: w, held: make(map[string]*grant), removed: make(map[string]int)}
}

// grant is goods that an instance has locked.
type grant struct {
	order.Lease
	holders  *holders
	instance *instance
	goods    []string
	void     bool // the keys, or some, were removed
	given    bool // back, or about to be
}

// Unlock implements order.Lease.
func (g *grant) Unlock(ctx context.Context) error {
	g.holders.mu.Lock()
	if g.void && !g.believes() {
		g.holders.world.reached.mark("told that goods were taken away")
	}
	g.given = true // the next may have them before the answer is here
	g.holders.mu.Unlock()
	return g.Lease.Unlock(ctx)
}

// believes reports whether the instance thinks that it holds the goods.
// holders.mu is held.
func (g *grant) believes() bool {
	select {
	case <-g.Lost():
		return false
	default:
		return !g.given && !g.instance.dead.Load()
	}
}

// watchedLock is the lock as one instance sees it. It implements order.Locker.
type watchedLock struct {
	order.Locker
	holders  *holders
	instance *instance
}

// Lock implements order.Locker.
func (w watchedLock) Lock(ctx context.Context, goods []string) (order.Lease, error) {
	before := w.holders.removals(goods)
	lease, err := w.Locker.Lock(ctx, goods)
	if err != nil {
		return nil, err
	}
	g := &grant{Lease: lease, holders: w.holders, instance: w.instance, goods: slices.Clone(goods)}
	w.holders.granted(g, before)
	return g, nil
}

// removals counts how often any of the goods' keys was removed.
func (h *holders) removals(goods []string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count(goods)
}

func (h *holders) count(goods []string) int {
	n := h.emptied
	for _, id := range goods {
		n += h.removed[id]
	}
	return n
}

func (h *holders) granted(g *grant, before int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count(g.goods) != before {
		return // nobody knows whether it was granted before that or after
	}
	for _, id := range g.goods {
		other := h.held[id]
		if other != nil && !other.void && other.believes() {
			h.world.wrong("%s was granted %s, and %s holds it", g.instance.name, id, other.instance.name)
		}
		h.held[id] = g
	}
}

// void notes that a grant is worth nothing any more, and looks whether its holder
// is told in time. h.mu is held.
func (h *holders) void(g *grant) {
	if g.void {
		return
	}
	g.void = true
	h.world.stragglers.Go(func() {
		time.Sleep(h.world.settings.Lock.Expiry)
		h.mu.Lock()
		defer h.mu.Unlock()
		if g.believes() {
			h.world.wrong("%s believes that it holds %v, and their keys were removed %s ago", g.instance.name, g.goods, h.world.settings.Lock.Expiry)
		}
	})
}

// remove removes the key of a goods, and reports whether there was one.
func (h *holders) remove(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.world.redis.Del(key) {
		return false
	}
	id := strings.TrimPrefix(key, h.world.settings.Lock.Prefix)
	h.removed[id]++
	if g := h.held[id]; g != nil {
		h.void(g)
	}
	return true
}

// empty removes everything that Redis has.
func (h *holders) empty() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.world.redis.FlushAll()
	h.emptied++
	for _, g := range h.held {
		h.void(g)
	}
}
