package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/singleflight"

	"orderconsumer/internal/stock"
)

// Defaults of Config, and what cannot be set.
const (
	// DefaultTTL is how long a level is shown without asking again. A commit
	// refreshes what it touched within milliseconds, so this is how long a level
	// stays wrong that was changed by a command, or whose refresh was lost.
	DefaultTTL = 10 * time.Second
	// DefaultRebuilds is how many readings of the database are under way at a time.
	// It leaves half of the connections to the orders.
	DefaultRebuilds = 4

	// waitStale is how long a question waits for a rebuild when it has a stale
	// answer: several times what a healthy rebuild takes.
	waitStale = 50 * time.Millisecond
	// DefaultPatience is how long a question waits when it has no answer at all.
	DefaultPatience = time.Second

	// maxWaiting is the most goods that wait for a rebuild: what a healthy database
	// answers within the patience, in full rebuilds.
	maxWaiting = 10_000
)

// Config says how long entries last and how much the database may be asked.
type Config struct {
	// TTL is the longest lifetime of an entry; each gets up to a fifth less.
	// Default DefaultTTL.
	TTL time.Duration
	// Stale is how long after its lifetime an entry may be shown. Zero: not at all.
	Stale time.Duration
	// Rebuilds is the most readings of the database at a time, of this cache.
	// Default DefaultRebuilds.
	Rebuilds int
	// Patience is how long a question without a stale answer waits for the database
	// before it is refused. Default DefaultPatience.
	Patience time.Duration
}

// Deps is what a cache works with.
type Deps struct {
	Store    Store // nil: the cache is off, and Source is asked under the same bounds
	Source   Source
	Observer Observer
}

// Cache answers questions for levels. It is safe for concurrent use.
type Cache struct {
	cfg      Config
	deps     Deps
	gate     gate
	flights  singleflight.Group // look-ups of one goods, by goods
	rebuilds rebuilds
	commits  commits

	base context.Context //nolint:containedctx // of look-ups and rebuilds, which outlive the question that began them
	stop context.CancelFunc
}

// New returns a cache. Close ends what it has under way; Run refreshes it.
func New(cfg Config, deps Deps) (*Cache, error) {
	if deps.Source == nil || deps.Observer == nil {
		return nil, errors.New("cache lacks one of Source, Observer")
	}
	if cfg.TTL == 0 {
		cfg.TTL = DefaultTTL
	}
	if cfg.Rebuilds == 0 {
		cfg.Rebuilds = DefaultRebuilds
	}
	if cfg.Patience == 0 {
		cfg.Patience = DefaultPatience
	}
	if cfg.TTL < time.Millisecond || cfg.Stale < 0 || cfg.Rebuilds < 0 || cfg.Patience < 0 {
		return nil, fmt.Errorf("cache with a ttl of %s, %s stale, %d rebuilds and a patience of %s: want at least 1ms, 0s, 1 and more than 0s",
			cfg.TTL, cfg.Stale, cfg.Rebuilds, cfg.Patience)
	}
	c := &Cache{cfg: cfg, deps: deps}
	c.base, c.stop = context.WithCancel(context.Background())
	c.gate = gate{store: deps.Store, observer: deps.Observer}
	c.rebuilds.cache, c.rebuilds.pending = c, make(map[string]*want)
	c.commits = commits{pending: make(map[string]commit), wake: make(chan struct{}, 1)}
	return c, nil
}

// Close gives up what is under way and waits for it. Questions asked
// afterwards fail.
func (c *Cache) Close() {
	c.stop()
	c.rebuilds.close()
}

// Levels returns the levels of those of the goods that are in the catalogue, by
// goods, and how old the oldest of the answers is: the database was asked that
// long ago. The goods are distinct.
//
// Errors wrap stock.ErrOverloaded when the database is asked as much as it may
// be, or did not come round to these goods in time; otherwise they are the
// source's, or the context's.
func (c *Cache) Levels(ctx context.Context, goods []string) (map[string]stock.Level, time.Duration, error) {
	a, err := c.ask(ctx, goods)
	if err != nil {
		return nil, 0, err
	}
	levels := make(map[string]stock.Level, len(a))
	var oldest time.Duration
	for i := range a {
		oldest = max(oldest, a[i].Age)
		if !a[i].Unknown {
			levels[a[i].Level.Goods] = a[i].Level
		}
	}
	return levels, oldest, nil
}

// ask has questions for one goods share one look-up.
func (c *Cache) ask(ctx context.Context, goods []string) ([]Entry, error) {
	if len(goods) != 1 {
		return c.look(ctx, goods)
	}
	flight := c.flights.DoChan(goods[0], func() (any, error) {
		// Of all the questions that share this, none may end it for the others.
		return c.look(c.base, goods)
	})
	select {
	case r := <-flight:
		entries, _ := r.Val.([]Entry) // nil with an error
		return entries, r.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("look up goods %q: %w", goods[0], ctx.Err())
	}
}

// look finds an answer for each of the goods.
func (c *Cache) look(ctx context.Context, goods []string) ([]Entry, error) {
	asked := time.Now()
	found, storeErr := c.gate.read(ctx, goods)
	answers := make([]Entry, 0, len(goods))
	var waits []wait
	counts := tally{}
	for i, id := range goods {
		var e Entry // zero: there is none
		ok := storeErr == nil && found[i] != nil
		if ok {
			e = *found[i]
		}
		if ok && e.fresh() {
			if e.Unknown {
				counts.unknown++
			} else {
				counts.hit++
				if e.early(1 - rand.Float64()) {
					c.rebuilds.ahead(id, e.ReadAt)
				}
			}
			answers = append(answers, e)
			continue
		}
		w, err := c.rebuilds.want(id, e.ReadAt)
		if err != nil && !ok {
			c.deps.Observer.CacheLookups(LookupRefused, len(goods))
			return nil, fmt.Errorf("look up goods %q: %w", id, err)
		}
		waits = append(waits, wait{want: w, stale: e, has: ok, asked: asked})
	}
	hits := len(answers)
	for _, w := range waits {
		patience := c.cfg.Patience
		if w.has {
			patience = min(patience, waitStale)
		}
		e, err := w.end(ctx, patience-time.Since(asked), &counts, storeErr != nil)
		if err != nil {
			c.deps.Observer.CacheLookups(LookupRefused, len(goods))
			return nil, err
		}
		answers = append(answers, e)
	}
	if len(waits) > 0 { // for which the others have waited, too
		for i := range answers[:hits] {
			answers[i].Age += time.Since(asked)
		}
	}
	counts.report(c.deps.Observer)
	return answers, nil
}

// wait is a question that waits for a rebuild.
type wait struct {
	want  *want // nil: there is no room for one
	stale Entry
	has   bool // the stale answer there is
	asked time.Time
}

// end returns the rebuild's answer, or the stale one when that takes too long
// or fails.
func (w *wait) end(ctx context.Context, patience time.Duration, counts *tally, direct bool) (Entry, error) {
	err := stock.ErrOverloaded
	if w.want != nil {
		err = w.want.wait(ctx, patience)
	}
	switch {
	case err == nil && direct:
		counts.database++
		return w.want.entry, nil
	case err == nil:
		counts.rebuilt++
		return w.want.entry, nil
	case w.has && ctx.Err() == nil:
		counts.stale++
		stale := w.stale
		stale.Age += time.Since(w.asked)
		return stale, nil
	default:
		return Entry{}, err
	}
}

// tally counts the answers to one question.
type tally struct{ hit, unknown, stale, rebuilt, database int }

func (t *tally) report(o Observer) {
	for _, c := range []struct {
		result string
		n      int
	}{
		{LookupHit, t.hit}, {LookupUnknown, t.unknown}, {LookupStale, t.stale},
		{LookupRebuilt, t.rebuilt}, {LookupDatabase, t.database},
	} {
		if c.n > 0 {
			o.CacheLookups(c.result, c.n)
		}
	}
}
