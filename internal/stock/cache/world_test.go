package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/cache"
	cacheredis "orderconsumer/internal/stock/cache/redis"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/testkit"
)

// TestMain fails when a closed cache leaves something running.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// database is the ledger as a source, with what it was asked. Tests hold it up.
type database struct {
	*ledger.Ledger
	calls, goods, at, most atomic.Int64
	// asked, when set, is called in every reading, before the rows are read, and
	// after when they have been.
	asked, answered func(goods []string)
	fail            atomic.Pointer[error]
}

// Levels implements cache.Source.
func (d *database) Levels(ctx context.Context, goods []string) (map[string]stock.Level, error) {
	d.calls.Add(1)
	d.goods.Add(int64(len(goods)))
	at := d.at.Add(1)
	defer d.at.Add(-1)
	for most := d.most.Load(); at > most && !d.most.CompareAndSwap(most, at); most = d.most.Load() {
		// another reading raised it meanwhile: look again
	}
	if d.asked != nil {
		d.asked(goods)
	}
	if fail := d.fail.Load(); fail != nil {
		return nil, *fail
	}
	levels, err := d.Ledger.Levels(ctx, goods)
	if d.answered != nil {
		d.answered(goods)
	}
	return levels, err
}

// observed counts what caches report.
type observed struct {
	mu      sync.Mutex
	lookups map[string]int
	lost    int
	down    int
	refresh chan struct{} // receives, without waiting, when levels were refreshed
}

func (o *observed) CacheLookups(result string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lookups[result] += n
}

func (o *observed) CacheRebuilt(int, time.Duration, error) {}

func (o *observed) CacheRefreshed(int, time.Duration) {
	select {
	case o.refresh <- struct{}{}:
	default:
	}
}

func (o *observed) CacheRefreshLost(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost += n
}

func (o *observed) CacheStore(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.down++
	}
}

func (o *observed) count(result string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lookups[result]
}

// world is a database, a Redis and caches on both, as many as there are
// instances.
type world struct {
	*testing.T
	database *database
	servers  *testkit.Servers
	observed *observed
	caches   []*cache.Cache
	client   *redis.Client // what another instance's tool would see
	cfg      cache.Config
	store    cacheredis.Config
}

// longTTL keeps entries from ending, or from being rebuilt early, by themselves.
const longTTL = time.Hour

// slowMachine is what a Redis on a machine busy with other tests may take.
const slowMachine = 10 * time.Second

func newWorld(t *testing.T, configure ...func(*world)) *world {
	t.Helper()
	servers := testkit.Start(t)
	w := &world{
		T: t, servers: servers,
		database: &database{Ledger: servers.OpenLedger(t)},
		observed: &observed{lookups: make(map[string]int), refresh: make(chan struct{}, 1)},
		cfg:      cache.Config{TTL: longTTL, Stale: longTTL, Patience: awaitTimeout},
		store:    cacheredis.Config{URL: servers.RedisURLs[0], Prefix: testkit.Unique("test") + "{level}:", Stale: longTTL, Timeout: slowMachine},
	}
	options, err := redis.ParseURL(servers.RedisURLs[0])
	if err != nil {
		t.Fatal(err)
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = slowMachine, awaitTimeout, awaitTimeout
	w.client = redis.NewClient(options)
	t.Cleanup(func() { _ = w.client.Close() })
	for _, c := range configure {
		c(w)
	}
	t.Cleanup(w.forget)
	return w
}

// forget removes the test's keys.
func (w *world) forget() {
	ctx := context.Background() // the test's own has ended by now
	keys, _ := w.client.Keys(ctx, strings.NewReplacer("{", `\{`, "}", `\}`).Replace(w.store.Prefix)+"*").Result()
	for some := range slices.Chunk(keys, 1000) {
		w.client.Del(ctx, some...)
	}
}

// instance adds a cache.
func (w *world) instance() *cache.Cache {
	w.Helper()
	s, err := cacheredis.Open(w.store)
	if err != nil {
		w.Fatal(err)
	}
	c, err := cache.New(w.cfg, cache.Deps{Store: s, Source: w.database, Observer: w.observed})
	if err != nil {
		w.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	w.Cleanup(func() {
		stop()
		running.Wait()
		c.Close()
		if err := s.Close(); err != nil {
			w.Error(err)
		}
	})
	w.caches = append(w.caches, c)
	return c
}

// stocked makes some of each goods available.
func (w *world) stocked(available int64, goods ...string) {
	w.Helper()
	lines := make([]stock.Line, len(goods))
	for i, id := range goods {
		lines[i] = stock.Line{Goods: id, Num: available}
	}
	if _, err := w.database.Import(w.Context(), ledger.Import{Mode: stock.Set, Lines: lines}); err != nil {
		w.Fatal(err)
	}
}

// deducted takes one of the goods, as an order that nobody has seen before.
func (w *world) deducted(goods string) {
	w.Helper()
	_, err := w.database.Apply(w.Context(), []stock.Request{{
		Order: testkit.Unique("order"), Action: stock.Deduct, Lines: []stock.Line{{Goods: goods, Num: 1}}, Attempt: 1,
	}})
	if err != nil {
		w.Fatal(err)
	}
}

// available asks a cache for one goods; -1 is unknown.
func (w *world) available(c *cache.Cache, goods string) int64 {
	w.Helper()
	levels, _, err := c.Levels(w.Context(), []string{goods})
	if err != nil {
		w.Error(err)
		return -2
	}
	level, ok := levels[goods]
	if !ok {
		return -1
	}
	return level.Available
}

func (w *world) key(goods string) string { return w.store.Prefix + "level:" + goods }

// entry is the text of an entry; empty where there is none.
func (w *world) entry(goods string) string {
	w.Helper()
	text, err := w.client.Get(w.Context(), w.key(goods)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		w.Fatal(err)
	}
	return text
}

// age makes entries older than they are. (The fourth number is when the
// database was asked.)
func (w *world) age(by time.Duration, goods ...string) {
	w.Helper()
	keys := make([]string, len(goods))
	for i, id := range goods {
		keys[i] = w.key(id)
	}
	texts, err := w.client.MGet(w.Context(), keys...).Result()
	if err != nil {
		w.Fatal(err)
	}
	pipe := w.client.Pipeline()
	for i := range keys {
		text, _ := texts[i].(string) // nothing is nil
		numbers := strings.Fields(text)
		if len(numbers) != 6 {
			w.Fatalf("entry of %s is %q", goods[i], numbers)
		}
		at, err := strconv.ParseInt(numbers[3], 10, 64)
		if err != nil {
			w.Fatal(err)
		}
		numbers[3] = strconv.FormatInt(at-by.Microseconds(), 10)
		pipe.Set(w.Context(), keys[i], strings.Join(numbers, " "), redis.KeepTTL)
	}
	if _, err := pipe.Exec(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// atOnce runs n functions that begin in one moment, and returns when all have
// ended.
func atOnce(n int, f func(i int)) {
	begin := make(chan struct{})
	var ready, done sync.WaitGroup
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-begin
			f(i)
		})
	}
	ready.Wait()
	close(begin)
	done.Wait()
}

func names(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(prefix, i)
	}
	return list
}

// address is the host and port of a URL.
func address(t testing.TB, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// awaitTimeout is far beyond what anything here takes.
const awaitTimeout = 2 * time.Minute

// await looks again and again until ok.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(awaitTimeout)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited %s for %s", awaitTimeout, what)
		}
	}
}
