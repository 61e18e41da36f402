package instance

import (
	"context"

	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock/cache"
	cacheredis "orderconsumer/internal/stock/cache/redis"
)

// openCache opens the cache of levels. An instance without an API has one too:
// its commits are what the others' answers must follow.
func (i *Instance) openCache() error {
	s := i.settings.Cache
	deps := cache.Deps{Source: i.ledger, Observer: i.observer}
	if s.Mode != settings.CacheOff {
		store, err := s.Open(i.settings.Redis, i.redisPool)
		if err != nil {
			return err
		}
		i.levels.store, deps.Store = store, store
	}
	levels, err := cache.New(cache.Config{TTL: s.TTL, Stale: s.Stale, Rebuilds: s.Rebuilds}, deps)
	if err != nil {
		return err
	}
	i.levels.Cache = levels
	i.ledger.OnChange(levels.Changed)
	return nil
}

// levels are what the API answers questions for levels from.
type levels struct {
	*cache.Cache
	store *cacheredis.Store // nil: the cache is off
}

// run refreshes the cache until ctx ends.
func (l levels) run(ctx context.Context) {
	if l.Cache != nil {
		l.Run(ctx)
	}
}

// close gives the cache back.
func (l levels) close() error {
	if l.Cache != nil {
		l.Close()
	}
	if l.store == nil {
		return nil
	}
	return l.store.Close()
}
