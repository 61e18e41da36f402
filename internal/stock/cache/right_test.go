package cache_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/cache"
)

// now is the store's clock as entries have it.
func now(w *world) string {
	return strconv.FormatInt(w.client.Time(w.Context()).Val().UnixMicro(), 10)
}

// TestASlowRebuildKeepsNothingOld: between a rebuild's reading and its filling in
// something happens; afterwards no old level stands.
func TestASlowRebuildKeepsNothingOld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(*world)                       // what stands when the rebuild begins
		during func(w *world, other *cache.Cache) // what happens to it
	}{
		"a commit refreshed the entry": {
			before: func(w *world) { w.age(longTTL+time.Minute, "a") },
			during: func(w *world, _ *cache.Cache) { w.deducted("a") },
		},
		"a commit found the rebuild's token": {
			before: func(w *world) { w.forget() },
			during: func(w *world, _ *cache.Cache) { w.deducted("a") },
		},
		"a commit nobody knows the outcome of dropped the entry": {
			before: func(w *world) { w.age(longTTL+time.Minute, "a") },
			during: func(w *world, other *cache.Cache) {
				w.database.OnChange(func([]stock.Level) {})
				w.deducted("a")
				other.Changed([]stock.Level{{Goods: "a"}})
			},
		},
		"a commit nobody knows the outcome of dropped the token": {
			before: func(w *world) { w.forget() },
			during: func(w *world, other *cache.Cache) {
				w.database.OnChange(func([]stock.Level) {})
				w.deducted("a")
				other.Changed([]stock.Level{{Goods: "a"}})
			},
		},
		"Redis dropped the token before the commit": {
			before: func(w *world) { w.forget() },
			during: func(w *world, _ *cache.Cache) {
				w.client.Del(w.Context(), w.key("a"))
				w.deducted("a")
			},
		},
		"the lock was lost and another rebuild has begun": {
			before: func(w *world) { w.forget() },
			during: func(w *world, _ *cache.Cache) {
				w.deducted("a")
				w.client.Set(w.Context(), w.key("a"), "?another", time.Minute)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.stocked(7, "a")
			slow, other := w.instance(), w.instance()
			w.available(slow, "a")
			w.database.OnChange(other.Changed)
			c.before(w)
			read, happened := make(chan struct{}), make(chan struct{})
			var once sync.Once
			w.database.answered = func([]string) {
				once.Do(func() { close(read); <-happened })
			}
			var asking sync.WaitGroup
			asking.Go(func() { w.available(slow, "a") })
			<-read
			drain(w.observed.refresh)
			c.during(w, other)
			<-w.observed.refresh
			close(happened)
			asking.Wait()
			// The rebuild may still be at its end: its lock says so.
			await(t, "the rebuild", func() bool { return w.client.Exists(t.Context(), w.store.Prefix+"lock:a").Val() == 0 })
			if text := w.entry("a"); strings.HasPrefix(text, "1 ") {
				t.Errorf("after the commit the old level stands: %q", text)
			}
			await(t, "the level", func() bool { return w.available(other, "a") == 6 })
		})
	}
}

func drain(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// TestACommitRefreshesWhatIsAskedFor: and leaves alone what is not.
func TestACommitRefreshesWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stocked(1000, "asked", "never asked")
	one, two := w.instance(), w.instance()
	w.database.OnChange(two.Changed)
	w.available(one, "asked")
	w.database.calls.Store(0)
	for i := range 100 {
		w.deducted("asked")
		w.deducted("never asked")
		want := int64(999 - i)
		await(t, "the refreshed level", func() bool { return w.available(one, "asked") == want })
	}
	if w.database.calls.Load() != 0 {
		t.Errorf("%d readings of the database, want none", w.database.calls.Load())
	}
	if text := w.entry("never asked"); text != "" {
		t.Errorf("goods nobody asks for are kept: %q", text)
	}
}

// TestVersionsOutrankTime: commits of two instances arrive in the wrong order.
func TestVersionsOutrankTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stocked(7, "a")
	one := w.instance()
	w.available(one, "a")
	for _, level := range []stock.Level{
		{Goods: "a", Available: 5, Version: 9_007_199_254_740_991},
		{Goods: "a", Available: 6, Version: 9_007_199_254_740_990, UpdatedAt: time.Now()},
	} {
		drain(w.observed.refresh)
		one.Changed([]stock.Level{level})
		<-w.observed.refresh
	}
	if got := w.available(one, "a"); got != 5 {
		t.Errorf("%d available, want the later version's 5", got)
	}
}

// TestALockHolderThatDied: its goods are shown stale at once, and rebuilt when
// the lock has expired; other goods do not wait for them.
func TestALockHolderThatDied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.cfg.Rebuilds, w.cfg.Patience = 1, cache.DefaultPatience })
	w.stocked(7, "held", "free")
	one := w.instance()
	w.available(one, "held")
	w.available(one, "free")
	w.stocked(6, "held", "free")
	w.age(longTTL+time.Minute, "held", "free")
	lock := w.store.Prefix + "lock:held"
	w.client.Set(t.Context(), lock, "the dead one's", 0)
	levels, age, err := one.Levels(t.Context(), []string{"held", "free"})
	if err != nil || levels["held"].Available != 7 || age < longTTL {
		t.Errorf("%+v, %s old, %v; want the stale level and its age", levels, age, err)
	}
	await(t, "the goods that are free", func() bool { return w.available(one, "free") == 6 })
	if w.client.Exists(t.Context(), lock).Val() != 1 {
		t.Error("somebody took the lock away")
	}
	w.client.Del(t.Context(), lock) // it expires
	await(t, "the goods that were held", func() bool { return w.available(one, "held") == 6 })

	// A question from before may have begun one more rebuild: the lock is taken when it
	// has given it back.
	await(t, "the lock", func() bool { return w.client.SetNX(t.Context(), lock, "the dead one's", 0).Val() })
	w.client.Del(t.Context(), w.key("held"))
	w.database.calls.Store(0)
	if _, _, err := one.Levels(t.Context(), []string{"held"}); !errors.Is(err, stock.ErrOverloaded) {
		t.Errorf("without a stale level: %v, want ErrOverloaded", err)
	}
	if w.database.calls.Load() != 0 {
		t.Errorf("%d readings past the lock", w.database.calls.Load())
	}
}

// TestAnAnswerAgesWhileItWaits: of several goods one is found at once and then
// waits for another whose rebuild waits for its turn: its age is that of the
// answer, not of the look.
func TestAnAnswerAgesWhileItWaits(t *testing.T) {
	t.Parallel()
	const held, atLeast = 2 * time.Second, 500 * time.Millisecond // the question may be asked late
	w := newWorld(t, func(w *world) { w.cfg.Rebuilds = 1 })
	w.stocked(7, "found", "first", "second")
	one := w.instance()
	w.available(one, "found")
	reading, release := make(chan struct{}), make(chan struct{})
	w.database.asked = func(goods []string) {
		if goods[0] == "first" {
			close(reading)
			<-release
		}
	}
	var other sync.WaitGroup
	other.Go(func() { w.available(one, "first") })
	<-reading
	defer time.AfterFunc(held, func() { close(release) }).Stop()
	levels, age, err := one.Levels(t.Context(), []string{"found", "second"})
	if err != nil || len(levels) != 2 || age < atLeast {
		t.Errorf("%+v, %s old, %v; want both, and the age of one that has waited for about %s", levels, age, err, held)
	}
	other.Wait()
}

// TestOff: without a store the database is asked under the same bound.
func TestOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	goods := names("goods-", 500)
	w.stocked(7, goods...)
	off, err := cache.New(cache.Config{Rebuilds: 1}, cache.Deps{Source: w.database, Observer: w.observed})
	if err != nil {
		t.Fatal(err)
	}
	defer off.Close()
	off.Changed([]stock.Level{{Goods: "goods-1"}})
	atOnce(500, func(i int) {
		if got := w.available(off, goods[i]); got != 7 {
			t.Errorf("%d available", got)
		}
	})
	if w.database.most.Load() != 1 {
		t.Errorf("%d readings at a time, want 1", w.database.most.Load())
	}
	keys, err := w.client.Keys(t.Context(), "*"+w.store.Prefix[:10]+"*").Result()
	if err != nil && !errors.Is(err, redis.Nil) || len(keys) > 0 {
		t.Errorf("keys %v, %v", keys, err)
	}
}

// TestTheDatabaseFails: its error is what is answered, or the stale level.
func TestTheDatabaseFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stocked(7, "a")
	one := w.instance()
	w.available(one, "a")
	w.age(longTTL+time.Minute, "a")
	away := stock.ErrUnavailable
	w.database.fail.Store(&away)
	levels, age, err := one.Levels(t.Context(), []string{"a"})
	if err != nil || levels["a"].Available != 7 || age < longTTL {
		t.Errorf("%+v, %s old, %v; want the stale level and its age", levels, age, err)
	}
	if _, _, err := one.Levels(t.Context(), []string{"b"}); !errors.Is(err, stock.ErrUnavailable) {
		t.Errorf("%v, want the database's error", err)
	}
	w.database.fail.Store(nil)
	await(t, "the database", func() bool { return w.available(one, "b") == -1 })
}
