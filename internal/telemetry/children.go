package telemetry

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// other is the label value that stands for every value beyond a bound. The
// count stays right, only the detail is lost.
const other = "other"

// children hands out the metric that belongs to a label value, and makes it
// when it is first asked for. It exists because a Prometheus vector hashes its
// label values under a lock at each look-up, which at tens of thousands of
// events a second is most of what counting costs; here a look-up is one read
// of a map that is never written to.
//
// At most limit distinct values get a metric of their own. A label value per
// order would otherwise be a leak that ends in the monitoring system.
type children[K comparable, M any] struct {
	// known is replaced as a whole, by the holder of mu, and read without it.
	known    atomic.Pointer[map[K]M]
	mu       sync.Mutex
	limit    int
	overflow K
	build    func(K) M
}

// bound says how many label values a metric may have, and which stands for
// all beyond them.
type bound[K comparable] struct {
	limit    int
	overflow K
}

// newChildren returns the children that build makes. The metrics of the values
// in expected exist from the start, so that a rate over them is right from
// their first event on and an alert on them is never "no data".
func newChildren[K comparable, M any](b bound[K], build func(K) M, expected ...K) *children[K, M] {
	c := &children[K, M]{limit: b.limit, overflow: b.overflow, build: build}
	known := make(map[K]M, len(expected))
	for _, k := range expected {
		known[k] = build(k)
	}
	c.known.Store(&known)
	return c
}

// get returns the metric of k, or that of all values beyond the bound.
func (c *children[K, M]) get(k K) M {
	if m, ok := (*c.known.Load())[k]; ok {
		return m
	}
	return c.add(k)
}

// add is get's rare half: it runs once a label value, and for every event of a
// value beyond the bound.
func (c *children[K, M]) add(k K) M {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := *c.known.Load()
	// Another goroutine may have come first between get's look-up and the lock.
	if m, ok := known[k]; ok {
		return m
	}
	if len(known) >= c.limit {
		k = c.overflow
		if m, ok := known[k]; ok {
			return m
		}
	}
	m := c.build(k)
	next := maps.Clone(known)
	next[k] = m
	c.known.Store(&next)
	return m
}

// label makes s fit to be a label value: the client library panics on broken
// UTF-8, and an empty value is the same as no label.
func label(s string) string {
	if s == "" {
		return "unknown"
	}
	return strings.ToValidUTF8(s, "?")
}
