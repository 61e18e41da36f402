package lock_test

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"orderconsumer/internal/lock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen; it is only ever used
// up by a test that fails.
const patience = time.Minute

// testTryTimeout is the deadline of one operation, unless a test has one of its own.
// The default of 300 ms is for a consumer that can do without the lock: a machine on
// which other tests run needs longer for a first connection. Tests about the default
// are in a bubble of time of their own (TestTimes).
const testTryTimeout = 5 * time.Second

// world is what a test runs in: servers, and keys that no other test uses.
type world struct {
	urls   []string
	prefix string
	plain  []*redis.Client // to look behind the lock's back, one for each server

	embedded []*miniredis.Miniredis // none if the servers are real
}

// onRedis runs a test on that many embedded servers and again on the real ones
// of REDIS_URL, if it names as many. With REQUIRE_SERVERS=1 it must name some.
func onRedis(t *testing.T, servers int, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("on embedded Redis", func(t *testing.T) {
		t.Parallel()
		test(t, embedded(t, servers))
	})
	urls := realServers()
	if len(urls) == 0 && os.Getenv("REQUIRE_SERVERS") == "1" {
		t.Fatal("REQUIRE_SERVERS=1 and REDIS_URL is not set")
	}
	t.Run("on real Redis", func(t *testing.T) {
		t.Parallel()
		if len(urls) < servers {
			t.Skipf("SKIPPING: REDIS_URL names %d servers, the test wants %d", len(urls), servers)
		}
		test(t, newWorld(t, urls[:servers]))
	})
}

// realServers returns the URLs in REDIS_URL.
func realServers() []string {
	return strings.FieldsFunc(os.Getenv("REDIS_URL"), func(r rune) bool { return r == ',' })
}

// embedded starts servers in this process.
func embedded(t testing.TB, servers int) *world {
	t.Helper()
	urls := make([]string, servers)
	started := make([]*miniredis.Miniredis, servers)
	for i := range urls {
		started[i] = miniredis.RunT(t)
		urls[i] = "redis://" + started[i].Addr()
	}
	w := newWorld(t, urls)
	w.embedded = started
	return w
}

// letTimePass makes keys expire on embedded servers too. It makes them slow:
// each command looks at every key.
func (w *world) letTimePass() {
	for _, m := range w.embedded {
		m.ClockTTL(true)
	}
}

func newWorld(t testing.TB, urls []string) *world {
	t.Helper()
	w := &world{urls: urls, prefix: "lock:{" + rand.Text() + "}:"}
	for _, u := range urls {
		opt, err := redis.ParseURL(u)
		if err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(opt)
		t.Cleanup(func() { client.Close() })
		w.plain = append(w.plain, client)
	}
	return w
}

// locker makes a Locker with connections of its own, as another process would.
// Unless a test is about time, a machine that is busy is not to fail it: see
// testTryTimeout.
func (w *world) locker(t testing.TB, cfg lock.Config, hooks ...redis.Hook) *lock.Locker {
	t.Helper()
	if cfg.TryTimeout == 0 && cfg.Expiry == 0 {
		cfg.Expiry, cfg.TryTimeout = 3*testTryTimeout, testTryTimeout
	}
	clients, err := lock.NewClients(w.urls, lock.ClientConfig{PoolSize: 100, Timeout: cfg.TryTimeout})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		for _, hook := range hooks {
			c.AddHook(hook)
		}
	}
	if cfg.Prefix == "" {
		cfg.Prefix = w.prefix
	}
	l, err := lock.New(clients, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		for _, c := range clients {
			c.Close()
		}
	})
	return l
}

// exists reports whether the key of a name exists on any server.
func (w *world) exists(t testing.TB, name string) bool {
	t.Helper()
	for _, client := range w.plain {
		n, err := client.Exists(t.Context(), w.prefix+name).Result()
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return true
		}
	}
	return false
}

// mustLock locks or fails the test.
func mustLock(t testing.TB, l *lock.Locker, names ...string) *lock.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	lease, err := l.Lock(ctx, names)
	if err != nil {
		t.Fatalf("lock %d names: %v", len(names), err)
	}
	return lease
}

// mustUnlock unlocks or fails the test.
func mustUnlock(t testing.TB, lease *lock.Lease) {
	t.Helper()
	if err := lease.Unlock(context.Background()); err != nil {
		t.Fatalf("unlock: %v", err)
	}
}

// soon locks under a deadline so short that it only succeeds if nobody holds
// the names.
func soon(t testing.TB, l *lock.Locker, names ...string) (*lock.Lease, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	return l.Lock(ctx, names)
}

// eventually waits until what is true, looking again and again.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.After(patience)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("never came true: %s", what)
		}
	}
}

// await waits for a signal.
func await(t testing.TB, what string, signal <-chan struct{}) {
	t.Helper()
	select {
	case <-signal:
	case <-time.After(patience):
		t.Fatalf("never happened: %s", what)
	}
}

// vanish deletes a name's key behind its holder's back.
func (w *world) vanish(t testing.TB, name string) {
	t.Helper()
	for _, client := range w.plain {
		if err := client.Del(t.Context(), w.prefix+name).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
