package cache_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"orderconsumer/internal/faultproxy"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/cache"
)

// behindProxy puts a proxy between the caches and Redis.
func (w *world) behindProxy() *faultproxy.Proxy {
	w.Helper()
	proxy, err := faultproxy.Start(faultproxy.Config{Target: address(w, w.servers.RedisURLs[0])})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(proxy.Close)
	w.store.URL = "redis://" + proxy.Addr() + "/0"
	return proxy
}

// TestRedisGone: the database answers, so many questions at a time; what is too
// much is refused at once; and when Redis is back it is used again, with what was
// committed meanwhile.
func TestRedisGone(t *testing.T) {
	t.Parallel()
	const rebuilds = 2
	var proxy *faultproxy.Proxy
	w := newWorld(t, func(w *world) {
		proxy = w.behindProxy()
		w.cfg.Rebuilds, w.cfg.Patience = rebuilds, 5*time.Second
		w.store.Timeout = 0 // the default: Redis is given up soon
	})
	goods := names("goods-", 1000)
	w.stocked(7, goods...)
	one := w.instance()
	w.database.OnChange(one.Changed)
	// A machine that is busy may take Redis longer than the cache waits for it.
	await(t, "an entry to refresh", func() bool {
		return w.available(one, "goods-0") == 7 && strings.HasPrefix(w.entry("goods-0"), "1 7 ")
	})

	proxy.Refuse()
	proxy.Reset()
	w.deducted("goods-0")
	atOnce(1000, func(i int) {
		want := int64(7)
		if i == 0 {
			want = 6
		}
		if got := w.available(one, goods[i]); got != want {
			t.Errorf("goods-%d: %d available, want %d", i, got, want)
		}
	})
	if most := w.database.most.Load(); most > rebuilds {
		t.Errorf("%d readings at a time, want at most %d", most, rebuilds)
	}
	if n := w.observed.count(cache.LookupDatabase); n < 999 {
		t.Errorf("%d answers from the database alone", n)
	}

	// A database that is slow as well.
	slow := make(chan struct{})
	w.database.asked = func([]string) { <-slow }
	var refused, other int
	var mu sync.Mutex
	atOnce(100, func(i int) {
		_, _, err := one.Levels(t.Context(), names("none-"+strconv.Itoa(i)+"-", 200))
		mu.Lock()
		defer mu.Unlock()
		if errors.Is(err, stock.ErrOverloaded) {
			refused++
		} else {
			other++
		}
	})
	close(slow)
	t.Logf("with the database standing still: %d of 100 questions for 200 goods refused", refused)
	if refused != 100 {
		t.Errorf("%d were refused and %d were not", refused, other)
	}
	if most := w.database.most.Load(); most > rebuilds {
		t.Errorf("%d readings at a time, want at most %d", most, rebuilds)
	}

	proxy.Mend()
	await(t, "the commit of the outage in Redis", func() bool { return strings.HasPrefix(w.entry("goods-0"), "2 6 ") })
	await(t, "a hit", func() bool {
		hits := w.observed.count(cache.LookupHit)
		w.available(one, "goods-0")
		return w.observed.count(cache.LookupHit) > hits
	})
}
