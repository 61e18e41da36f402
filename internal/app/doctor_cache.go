package app

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/lock"
	"orderconsumer/internal/settings"
)

// checkCache is the check of the cache of levels.
const checkCache = "cache"

// cache examines the Redis of the cache. It is none of the lock's checks: it may
// be another server, and is used where the lock is off. A consumer goes on
// without it, so that one that is away is a warning.
func (d doctor) cache(ctx context.Context, c *chart) {
	s := d.settings.Cache
	if s.Mode == settings.CacheOff {
		c.ok(checkCache, "not used (it is off)")
		return
	}
	variable, kind, certificates := "CACHE_REDIS_URL", "CACHE_REDIS_", s.Certificates
	if s.URL == "" {
		variable, kind, certificates = "REDIS_URL", "REDIS_", d.settings.Redis.Certificates
	}
	at, access, err := s.Where(d.settings.Redis)
	access.Name, access.Timeout = "order-consumer-doctor", redisTimeout
	var clients []redis.UniversalClient
	if err == nil {
		clients, err = lock.NewClients([]string{at}, access)
	}
	if err != nil {
		c.note(finding{Name: checkCache, Status: statusFail, What: err.Error(), Fix: "set " + variable + " to one server"})
		return
	}
	defer clients[0].Close() //nolint:errcheck // nothing is under way
	what, fix := settings.RedisRisk(kind, certificates, at)
	c.exposed(checkCache, what, fix)
	store, err := s.Open(d.settings.Redis, 0)
	if err != nil {
		c.note(finding{Name: checkCache, Status: statusFail, What: err.Error(), Fix: "set CACHE_PREFIX, and what else is named, as it says"})
		return
	}
	defer store.Close() //nolint:errcheck // nothing is under way

	// Its other warnings are about locks that must not be lost.
	_, err = lock.Verify(ctx, clients)
	if err == nil {
		_, err = store.Read(ctx, []string{"doctor"})
	}
	switch {
	case err == nil:
		c.ok(checkCache, "levels are kept in the Redis of %s", variable)
	case errors.Is(err, lock.ErrReplica):
		c.note(finding{Name: checkCache, Status: statusWarn, What: reason(ctx, err) + ": the database answers stock queries", Fix: "set " + variable + " to a master"})
	case refused(err):
		c.note(finding{Name: checkCache, Status: statusWarn, What: "does not serve us, the database answers stock queries: " + reason(ctx, err),
			Fix: "set " + variable + " with the user and password it asks for, who may run scripts"})
	default:
		f := finding{Name: checkCache, Status: statusWarn, Unreachable: true,
			What: "does not answer, the database answers stock queries: " + reason(ctx, err), Fix: settings.StartServers(variable)}
		if one, ok := clients[0].(*redis.Client); ok {
			if trust := settings.TrustFix(one.Options().Addr, kind, err); trust != "" {
				f.Unreachable, f.Fix = false, trust
			}
		}
		c.note(f)
	}
}
