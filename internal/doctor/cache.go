package doctor

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/lock"
	"orderconsumer/internal/settings"
)

// CheckCache is the check of the cache of levels.
const CheckCache = "cache"

// cache examines the Redis of the cache. It is none of the lock's checks: it may
// be another server, and is used where the lock is off. A consumer goes on
// without it, so that one that is away is a warning.
func (d Doctor) cache(ctx context.Context, c *chart) {
	s := d.Settings.Cache
	if s.Mode == settings.CacheOff {
		c.ok(CheckCache, "not used (it is off)")
		return
	}
	variable, kind, certificates := "CACHE_REDIS_URL", "CACHE_REDIS_", s.Certificates
	if s.URL == "" {
		variable, kind, certificates = "REDIS_URL", "REDIS_", d.Settings.Redis.Certificates
	}
	at, access, err := s.Where(d.Settings.Redis)
	access.Name, access.Timeout = "order-consumer-doctor", redisTimeout
	var clients []redis.UniversalClient
	if err == nil {
		clients, err = lock.NewClients([]string{at}, access)
	}
	if err != nil {
		c.note(Finding{Name: CheckCache, Status: StatusFail, What: err.Error(), Fix: "set " + variable + " to one server"})
		return
	}
	defer clients[0].Close() //nolint:errcheck // nothing is under way
	what, fix := settings.RedisRisk(kind, certificates, at)
	c.exposed(CheckCache, what, fix)
	store, err := s.Open(d.Settings.Redis, 0)
	if err != nil {
		c.note(Finding{Name: CheckCache, Status: StatusFail, What: err.Error(), Fix: "set CACHE_PREFIX, and what else is named, as it says"})
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
		c.ok(CheckCache, "levels are kept in the Redis of %s", variable)
	case errors.Is(err, lock.ErrReplica):
		c.note(Finding{Name: CheckCache, Status: StatusWarn, What: reason(ctx, err) + ": the database answers stock queries", Fix: "set " + variable + " to a master"})
	case refused(err):
		c.note(Finding{Name: CheckCache, Status: StatusWarn, What: "does not serve us, the database answers stock queries: " + reason(ctx, err),
			Fix: "set " + variable + " with the user and password it asks for, who may run scripts"})
	default:
		f := Finding{Name: CheckCache, Status: StatusWarn, Unreachable: true,
			What: "does not answer, the database answers stock queries: " + reason(ctx, err), Fix: settings.StartServers(variable)}
		if one, ok := clients[0].(*redis.Client); ok {
			if trust := settings.TrustFix(one.Options().Addr, kind, err); trust != "" {
				f.Unreachable, f.Fix = false, trust
			}
		}
		c.note(f)
	}
}
