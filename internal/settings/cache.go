package settings

import (
	"errors"
	"fmt"
	"time"

	"orderconsumer/internal/lock"
	cacheredis "orderconsumer/internal/stock/cache/redis"
)

// Cache says how levels are kept for the API.
type Cache struct {
	Mode         string        `name:"cache" env:"CACHE" default:"on" enum:"on,off" help:"Answer stock queries from Redis. off: from the database, as many at a time as rebuilds."`
	URL          string        `name:"cache-redis-url" env:"CACHE_REDIS_URL" help:"Redis of the cache, which may lose everything at any time; the first of REDIS_URL when empty."`
	PasswordFile string        `name:"cache-redis-password-file" env:"CACHE_REDIS_PASSWORD_FILE" type:"path" help:"File whose first line replaces the password in that URL; without it the variable CACHE_REDIS_PASSWORD does. Of no use without that URL, as are the files below."`
	Certificates Certificates  `embed:"" prefix:"cache-redis-" envprefix:"CACHE_REDIS_"`
	TTL          time.Duration `name:"cache-ttl" env:"CACHE_TTL" default:"10s" help:"How long a level is shown without asking the database. Commits refresh it within milliseconds; this is for what they miss."`
	Stale        time.Duration `name:"cache-stale" env:"CACHE_STALE" default:"5s" help:"How much longer it may be shown while the database is asked. No answer is ever older than both together."`
	UnknownTTL   time.Duration `name:"cache-unknown-ttl" env:"CACHE_UNKNOWN_TTL" default:"2s" help:"How long goods that are not in the catalogue are taken for unknown."`
	UnknownMost  int           `name:"cache-unknown-most" env:"CACHE_UNKNOWN_MOST" default:"10000" help:"Most unknown goods that are remembered, by all instances together."`
	Rebuilds     int           `name:"cache-rebuilds" env:"CACHE_REBUILDS" default:"4" help:"Most questions to the database at a time, of one instance, with or without Redis."`
	Prefix       string        `name:"cache-prefix" env:"CACHE_PREFIX" default:"stock:{level}:" help:"What the cache's keys begin with; the part in braces keeps them in one slot of a cluster."`
}

// CacheOff is the mode in which the database answers stock queries.
const CacheOff = "off"

// Bounds of the cache's settings.
const (
	maxCacheTTL    = 24 * time.Hour
	maxUnknownMost = 10_000_000
	maxRebuilds    = 64
)

// check refuses settings that cannot work.
func (s Cache) check() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(s.TTL >= 10*time.Millisecond && s.TTL <= maxCacheTTL, "cache-ttl: want 10ms to %s, got %s", maxCacheTTL, s.TTL)
	check(s.Stale >= 0 && s.Stale <= maxCacheTTL, "cache-stale: want 0s to %s, got %s", maxCacheTTL, s.Stale)
	check(s.UnknownTTL >= 10*time.Millisecond && s.UnknownTTL <= maxCacheTTL, "cache-unknown-ttl: want 10ms to %s, got %s", maxCacheTTL, s.UnknownTTL)
	check(s.UnknownMost >= 1 && s.UnknownMost <= maxUnknownMost, "cache-unknown-most: want 1 to %d, got %d", maxUnknownMost, s.UnknownMost)
	check(s.Rebuilds >= 1 && s.Rebuilds <= maxRebuilds, "cache-rebuilds: want 1 to %d, got %d", maxRebuilds, s.Rebuilds)
	return errors.Join(errs...)
}

// Open opens what the entries are kept in, with so many connections, or those that the
// client keeps by itself (0). It does not connect.
func (s Cache) Open(shared Redis, conns int) (*cacheredis.Store, error) {
	at, access, err := s.Where(shared)
	if err != nil {
		return nil, err
	}
	return cacheredis.Open(cacheredis.Config{
		URL: at, Password: access.Password, TLS: access.TLS,
		Conns: conns, Prefix: s.Prefix, Stale: s.Stale, UnknownTTL: s.UnknownTTL, UnknownMost: s.UnknownMost,
	})
}

// Where is the URL of the cache's Redis and how it is talked to. A server of
// its own shares no password and no authority with those of the lock.
func (s Cache) Where(of Redis) (string, lock.ClientConfig, error) {
	if s.URL == "" && len(of.URLs) > 0 {
		of.URLs = of.URLs[:1]
		access, err := of.access("REDIS_")
		return of.URLs[0], access, err
	}
	own := Redis{URLs: []string{s.URL}, PasswordFile: s.PasswordFile, Certificates: s.Certificates}
	access, err := own.access("CACHE_REDIS_")
	return s.URL, access, err
}
