package cache

import (
	"context"
	"sync"
	"time"
)

// gate keeps a store that does not answer from being asked by every question:
// each would wait for the same silence.
type gate struct {
	store    Store
	observer Observer

	mu     sync.Mutex
	until  time.Time // left alone until then; zero: it answers
	trying bool      // after that one has gone to see, and the others do not wait for him
}

// shutFor is how long the store is left alone. It is also how long the database
// carries the load after the store is back.
const shutFor = time.Second

// read is Store.Read through the gate.
func (g *gate) read(ctx context.Context, goods []string) ([]*Entry, error) {
	err := g.enter()
	if err != nil {
		return nil, err
	}
	found, err := g.store.Read(ctx, goods)
	return found, g.passed(ctx, err)
}

// enter returns nil when the store may be asked. The caller tells passed of what
// came of it.
func (g *gate) enter() error {
	if g.store == nil {
		return errNoStore
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.until.IsZero():
		return nil
	case g.trying || time.Now().Before(g.until):
		return errShut
	default:
		g.trying = true
		return nil
	}
}

// answers reports whether the store answered when it was last asked.
func (g *gate) answers() bool {
	if g.store == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until.IsZero()
}

// passed notes what the store answered, and returns err.
func (g *gate) passed(ctx context.Context, err error) error {
	g.mu.Lock()
	was := g.until
	g.trying = false
	switch {
	case ctx.Err() != nil: // it was not given the time
	case err != nil:
		g.until = time.Now().Add(shutFor)
	default:
		g.until = time.Time{}
	}
	changed := was.IsZero() != g.until.IsZero()
	g.mu.Unlock()
	if changed {
		g.observer.CacheStore(err)
	}
	return err
}
