// Package redis keeps the entries of the stock's cache in one Redis. All keys
// begin with Config.Prefix and lie in one slot of a cluster:
//
//	<prefix>level:<goods>   an entry, or the token of a rebuild under way
//	<prefix>unknown         the goods that do not exist, by when that is forgotten
//	<prefix>lock:<goods>    the lock on rebuilding the goods (package lock)
//
// What is compared is compared inside Redis, by scripts; times are those of
// Redis' clock, so that the clocks of the instances do not matter.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/lock"
	"orderconsumer/internal/stock/cache"
)

// Defaults of Config.
const (
	DefaultPrefix      = "stock:{level}:"
	DefaultUnknownTTL  = 2 * time.Second
	DefaultUnknownMost = 10_000

	// tokenLife is how long a rebuild may take from its announcement to its answer:
	// more than a reading of the database is given, and Redis' timeouts.
	tokenLife = 10 * time.Second
	// lockTimeouts is how many timeouts the lock on goods outlives a rebuilder that
	// has died: extensions included, two seconds by default.
	lockTimeouts = 7
	// costDefault stands for what a rebuild takes where none has been measured.
	costDefault = 5 * time.Millisecond
	// connectTimeout bounds a connection's TCP and TLS, which nobody waits for longer
	// than Config.Timeout: what a server far away needs, and one lost packet.
	connectTimeout = 3 * time.Second
)

// Config says where and for how long entries are kept.
type Config struct {
	// URL is redis:// or rediss://, see lock.NewClients.
	URL string

	// Password replaces the one of the URL, unless it is empty.
	Password string

	// TLS is what a rediss:// URL is spoken to with; nil trusts the authorities
	// of this system.
	TLS *tls.Config
	// Prefix begins every key. It needs a hash tag. Default DefaultPrefix.
	Prefix string
	// Stale is how long an entry is kept beyond its lifetime: the cache's own.
	Stale time.Duration
	// Timeout is how long Redis may take to answer a question, and how long a
	// question may wait for those before it: a Read takes two of them at the most,
	// connecting included, and so do Begin, Fill and Refresh. What takes longer is as
	// good as gone: the database answers meanwhile. A connection is made all the same
	// when that takes longer, up to three seconds for TCP and TLS and a timeout for
	// AUTH: the next question finds it. Default lock.DefaultTryTimeout.
	Timeout time.Duration
	// UnknownTTL is how long goods are taken for unknown. Default
	// DefaultUnknownTTL.
	UnknownTTL time.Duration
	// UnknownMost is the most unknown goods that are remembered; beyond it those go
	// first that would have been forgotten first. Default DefaultUnknownMost.
	UnknownMost int
	// Conns is the number of connections kept. Default ten for each CPU.
	Conns int

	// Dial replaces the network; nil means TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Store implements cache.Store.
type Store struct {
	cfg     Config
	client  redis.UniversalClient
	locker  *lock.Locker
	looks   looks
	scripts scripts
	stop    context.CancelFunc // ends what nobody waits for
}

// Open returns a store. It does not connect.
func Open(cfg Config) (*Store, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = lock.DefaultTryTimeout
	}
	if cfg.UnknownTTL == 0 {
		cfg.UnknownTTL = DefaultUnknownTTL
	}
	if cfg.UnknownMost == 0 {
		cfg.UnknownMost = DefaultUnknownMost
	}
	_, tag, _ := strings.Cut(cfg.Prefix, "{")
	if strings.IndexByte(tag, '}') < 1 || cfg.Timeout < time.Millisecond || cfg.UnknownTTL < time.Millisecond || cfg.UnknownMost < 0 {
		return nil, fmt.Errorf("cache with prefix %q, timeout %s, unknown goods for %s and %d of them: want a prefix with a hash tag, as in %q, at least 1ms, 1ms and 1",
			cfg.Prefix, cfg.Timeout, cfg.UnknownTTL, cfg.UnknownMost, DefaultPrefix)
	}
	clients, err := lock.NewClients([]string{cfg.URL}, lock.ClientConfig{
		Name: "order-cache", Timeout: cfg.Timeout, ConnectTimeout: max(connectTimeout, cfg.Timeout),
		Password: cfg.Password, TLS: cfg.TLS, PoolSize: cfg.Conns, Dial: cfg.Dial,
	})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{cfg: cfg, client: clients[0], scripts: newScripts(), stop: stop}
	s.looks.store, s.looks.ctx = s, ctx
	s.locker, err = lock.New(clients, lock.Config{
		Prefix: cfg.Prefix + "lock:", Expiry: lockTimeouts * cfg.Timeout, TryTimeout: cfg.Timeout,
	})
	if err != nil {
		s.stop()
		return nil, errors.Join(fmt.Errorf("cache: %w", err), s.client.Close())
	}
	return s, nil
}

// Close closes the connections. The cache on the store has been closed before.
func (s *Store) Close() error {
	s.stop()
	s.locker.Close()
	err := s.client.Close()
	s.looks.running.Wait()
	if err != nil {
		return fmt.Errorf("close cache: %w", err)
	}
	return nil
}

// Ping reports whether Redis answers.
func (s *Store) Ping(ctx context.Context) error {
	err := s.client.Ping(ctx).Err()
	if err != nil {
		return fmt.Errorf("ping cache: %w", err)
	}
	return nil
}

// Lock implements cache.Store.
func (s *Store) Lock(ctx context.Context, goods []string) (unlock func(context.Context), err error) {
	lease, err := s.locker.Lock(ctx, goods)
	if taken, ok := errors.AsType[*lock.TakenError](err); ok {
		return nil, &cache.TakenError{Goods: taken.Name}
	}
	if err != nil {
		return nil, fmt.Errorf("lock %d goods: %w", len(goods), err)
	}
	// A lease that was lost changes nothing for what was filled in, and one that
	// cannot be given back expires.
	return func(ctx context.Context) { _ = lease.Unlock(ctx) }, nil
}

// within bounds what is written. A Read has bounds of its own.
func (s *Store) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 2*s.cfg.Timeout)
}

func (s *Store) levelKey(goods string) string { return s.cfg.Prefix + "level:" + goods }

func (s *Store) unknownKey() string { return s.cfg.Prefix + "unknown" }

// keys are those of the goods, and after them that of the unknown ones.
func (s *Store) keys(goods []string) []string {
	keys := make([]string, 0, len(goods)+1)
	for _, id := range goods {
		keys = append(keys, s.levelKey(id))
	}
	return append(keys, s.unknownKey())
}
