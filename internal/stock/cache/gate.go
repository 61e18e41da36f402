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
	probe, err := g.enter()
	if err != nil {
		return nil, err
	}
	found, err := g.store.Read(ctx, goods)
	return found, g.passed(ctx, probe, err)
}

// enter returns no error when the store may be asked, and whether the caller is
// the one that goes to see. The caller tells passed of that and of what came of it.
func (g *gate) enter() (probe bool, err error) {
	if g.store == nil {
		return false, errNoStore
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.until.IsZero():
		return false, nil
	case g.trying || time.Now().Before(g.until):
		return false, errShut
	default:
		g.trying = true
		return true, nil
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

// passed notes what the store answered, and returns err. Only the one that went
// to see has seen something then: others were on their way when the store failed.
func (g *gate) passed(ctx context.Context, probe bool, err error) error {
	g.mu.Lock()
	was := g.until
	if probe {
		g.trying = false
	}
	switch {
	case ctx.Err() != nil: // it was not given the time
	case err != nil:
		g.until = time.Now().Add(shutFor)
	case probe:
		g.until = time.Time{}
	}
	changed := was.IsZero() != g.until.IsZero()
	g.mu.Unlock()
	if changed {
		g.observer.CacheStore(err)
	}
	return err
}
