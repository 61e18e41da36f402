package cache_test

import (
	"strings"
	"testing"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/cache"
)

// TestWhatIsNotAnEntry: a value that somebody else left under a key of the cache
// is as good as none. It does not keep other goods from being answered from
// Redis, and the next rebuild or commit writes over it.
func TestWhatIsNotAnEntry(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(w *world, key string){
		"a text":             func(w *world, key string) { w.client.Set(w.Context(), key, "hello", 0) },
		"begins like one":    func(w *world, key string) { w.client.Set(w.Context(), key, "12 apples", 0) },
		"a number too few":   func(w *world, key string) { w.client.Set(w.Context(), key, "9 7 0 0 3600000", 0) },
		"a number too many":  func(w *world, key string) { w.client.Set(w.Context(), key, "9 7 0 0 3600000 1 1", 0) },
		"no text":            func(w *world, key string) { w.client.HSet(w.Context(), key, "a", "b") },
		"a text of no bytes": func(w *world, key string) { w.client.Set(w.Context(), key, "", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.stocked(7, "a", "b", "c")
			one := w.instance()
			w.database.OnChange(one.Changed)
			w.available(one, "b")
			put(w, w.key("a"))
			put(w, w.key("none"))
			hits := w.observed.count(cache.LookupHit)
			levels, _, err := one.Levels(t.Context(), []string{"a", "b", "none"})
			if err != nil || len(levels) != 2 || levels["a"].Available != 7 || w.observed.count(cache.LookupHit) != hits+1 {
				t.Errorf("%v, %v, %d hits, want seven of two and one hit", levels, err, w.observed.count(cache.LookupHit)-hits)
			}
			if text := w.entry("a"); !strings.HasPrefix(text, "1 7 ") {
				t.Errorf("the entry is %q after a rebuild", text)
			}
			if n := w.client.Exists(t.Context(), w.key("none")).Val(); n != 0 {
				t.Error("what stood for unknown goods is still there after a rebuild")
			}
			if name != "no text" { // which a refresh takes for nothing
				put(w, w.key("c"))
				w.deducted("c")
				await(t, "the refresh", func() bool { return strings.HasPrefix(w.entry("c"), "2 6 ") })
				put(w, w.key("c"))
				one.Changed([]stock.Level{{Goods: "c"}}) // a commit that nobody knows the outcome of
				await(t, "the drop", func() bool { return w.client.Exists(w.Context(), w.key("c")).Val() == 0 })
			}
			w.observed.mu.Lock()
			defer w.observed.mu.Unlock()
			if w.observed.down != 0 {
				t.Errorf("Redis was given up %d times", w.observed.down)
			}
		})
	}
}
