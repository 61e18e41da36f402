package cache_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"orderconsumer/internal/stock/cache"
)

// TestBreakdown: thousands ask three instances for one goods whose entry has
// just ended, in every way that it can end: the database is asked once.
func TestBreakdown(t *testing.T) {
	t.Parallel()
	const questions = 10_000
	for name, end := range map[string]func(*world){
		"never there": func(w *world) { w.client.Del(w.Context(), w.key("hot")) },
		"stale":       func(w *world) { w.age(longTTL+time.Minute, "hot") },
		"too old to show": func(w *world) {
			w.age(longTTL+time.Minute, "hot")
			w.client.PExpire(w.Context(), w.key("hot"), time.Nanosecond)
		},
		"a rebuild that never came back": func(w *world) { w.client.Set(w.Context(), w.key("hot"), "?gone", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.stocked(7, "hot")
			instances := []*cache.Cache{w.instance(), w.instance(), w.instance()}
			for _, c := range instances {
				w.available(c, "hot")
			}
			w.stocked(6, "hot") // by a command: no cache is told
			end(w)
			w.database.calls.Store(0)
			var old, now, wrong atomic.Int64
			atOnce(questions, func(i int) {
				switch w.available(instances[i%len(instances)], "hot") {
				case 6:
					now.Add(1)
				case 7:
					old.Add(1)
				default:
					wrong.Add(1)
				}
			})
			await(t, "the rebuild", func() bool { return w.available(instances[0], "hot") == 6 })
			t.Logf("%d questions: %d answered anew, %d with the stale level, %d readings of the database",
				questions, now.Load(), old.Load(), w.database.calls.Load())
			if calls := w.database.calls.Load(); calls != 1 {
				t.Errorf("the database was asked %d times, want once", calls)
			}
			if wrong.Load() > 0 || old.Load() > 0 && name != "stale" {
				t.Errorf("%d answers were wrong, %d stale", wrong.Load(), old.Load())
			}
		})
	}
}

// TestAvalanche: thousands of entries end together: each is read once, and an
// instance asks the database no more than so many questions at a time.
func TestAvalanche(t *testing.T) {
	t.Parallel()
	const rebuilds = 3
	goods := names("goods-", 5000)
	for name, end := range map[string]func(*world){
		"an empty Redis":     func(w *world) { w.forget() },
		"all ended together": func(w *world) { w.age(longTTL+time.Minute, goods...) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.cfg.Rebuilds = rebuilds })
			w.stocked(7, goods...)
			one := w.instance()
			for first := 0; first < len(goods); first += 200 {
				if _, _, err := one.Levels(t.Context(), goods[first:first+200]); err != nil {
					t.Fatal(err)
				}
			}
			end(w)
			w.database.calls.Store(0)
			w.database.goods.Store(0)
			w.database.most.Store(0)
			atOnce(len(goods), func(i int) {
				if got := w.available(one, goods[i]); got != 7 {
					t.Errorf("%s: %d", goods[i], got)
				}
			})
			await(t, "all rebuilds", func() bool { return w.database.goods.Load() >= int64(len(goods)) })
			t.Logf("%d goods: %d readings, %d at a time", len(goods), w.database.calls.Load(), w.database.most.Load())
			if n := w.database.goods.Load(); n != int64(len(goods)) {
				t.Errorf("%d goods were read, want each of %d once", n, len(goods))
			}
			if most := w.database.most.Load(); most > rebuilds {
				t.Errorf("%d readings at a time, want at most %d", most, rebuilds)
			}
		})
	}
}

// TestPenetration: many ids that do not exist cost bounded readings at a time
// and bounded memory, and one that is asked for again costs nothing.
func TestPenetration(t *testing.T) {
	t.Parallel()
	ids, bound, rebuilds := 100_000/slowdown, 1000, 2
	if testing.Short() {
		ids = 10_000
	}
	w := newWorld(t, func(w *world) {
		w.cfg.Rebuilds = rebuilds
		w.store.UnknownMost, w.store.UnknownTTL = bound, time.Hour
	})
	one := w.instance()
	unknown := w.store.Prefix + "unknown"
	var most int64
	watched, stop := context.WithCancel(t.Context())
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for watched.Err() == nil {
			most = max(most, w.client.ZCard(t.Context(), unknown).Val())
			<-tick.C
		}
	}()
	const askers, together = 50, 200
	nothing := names("nothing-", ids)
	atOnce(askers, func(asker int) {
		mine := nothing[asker*ids/askers : (asker+1)*ids/askers]
		for question := range slices.Chunk(mine, together) {
			levels, _, err := one.Levels(t.Context(), question)
			if err != nil || len(levels) > 0 {
				t.Errorf("%d levels, %v", len(levels), err)
			}
		}
	})
	stop()
	<-seen
	keys := w.client.Keys(t.Context(), "*"+w.store.Prefix[:len(w.store.Prefix)-len("{level}:")]+"*level:nothing*").Val()
	t.Logf("%d unknown goods: %d readings, %d at a time; at most %d remembered, %d other keys", ids,
		w.database.calls.Load(), w.database.most.Load(), most, len(keys))
	if most > int64(bound) || w.client.ZCard(t.Context(), unknown).Val() != int64(bound) || len(keys) > 0 {
		t.Errorf("up to %d were remembered, and under %d other keys, want %d and none", most, len(keys), bound)
	}
	if w.database.most.Load() > int64(rebuilds) {
		t.Errorf("%d readings at a time, want at most %d", w.database.most.Load(), rebuilds)
	}
	last := w.client.ZRange(t.Context(), unknown, 0, -1).Val()
	w.database.calls.Store(0)
	for _, id := range last[:200] {
		w.available(one, id)
	}
	if _, _, err := one.Levels(t.Context(), last[:200]); err != nil || w.database.calls.Load() != 0 {
		t.Errorf("what is known not to exist cost %d readings, %v", w.database.calls.Load(), err)
	}
}

// TestUnknownGoodsAreForgotten: what is created later is found soon.
func TestUnknownGoodsAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.store.UnknownTTL = 50 * time.Millisecond })
	one := w.instance()
	if got := w.available(one, "new"); got != -1 {
		t.Fatalf("available %d", got)
	}
	w.stocked(3, "new")
	await(t, "the new goods", func() bool { return w.available(one, "new") == 3 })
}

// TestHotGoodsNeverEnd: goods that are asked for all the time are rebuilt before
// they end, and nobody waits for it.
func TestHotGoodsNeverEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stocked(7, "hot")
	one := w.instance()
	w.available(one, "hot")
	w.stocked(6, "hot")
	// Lifetimes are at least four fifths of the setting. At its last hundredth a
	// rebuild of an hour's cost is due at nearly every question.
	w.client.Set(t.Context(), w.key("hot"), "1 7 0 "+now(w)+" 3600000 3600000000", 0)
	await(t, "an early rebuild", func() bool { return w.available(one, "hot") == 6 })
	if n := w.observed.count(cache.LookupStale); n > 0 {
		t.Errorf("%d answers were stale", n)
	}
	if n := w.observed.count(cache.LookupRebuilt); n != 1 { // the first of all
		t.Errorf("%d questions waited, want only the first", n)
	}
}
