package telemetry

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func TestChildrenKeepTheCountAndTheBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		made := map[int]*int{}
		c := newChildren(bound[int]{limit, -1}, func(k int) *int {
			if made[k] != nil {
				t.Fatalf("the metric of %d was made twice", k)
			}
			made[k] = new(int)
			return made[k]
		})
		want := map[int]int{} // the first limit values count for themselves
		for _, k := range rapid.SliceOf(rapid.IntRange(0, 9)).Draw(t, "values") {
			*c.get(k)++
			if _, own := want[k]; !own && len(withoutOverflow(want)) == limit {
				k = -1
			}
			want[k]++
		}
		if len(made) != len(want) {
			t.Fatalf("%d metrics were made, want %d", len(made), len(want))
		}
		for k, n := range want {
			if got := *made[k]; got != n {
				t.Errorf("value %d was counted %d times, want %d", k, got, n)
			}
		}
	})
}

func withoutOverflow(m map[int]int) map[int]int {
	own := map[int]int{}
	for k, n := range m {
		if k != -1 {
			own[k] = n
		}
	}
	return own
}

func TestChildrenMakeOneMetricForConcurrentFirstUses(t *testing.T) {
	t.Parallel()
	const goroutines, values, limit = 8, 100, 60
	var made atomic.Int64
	c := newChildren(bound[string]{limit, other}, func(string) *atomic.Int64 {
		made.Add(1)
		return new(atomic.Int64)
	})
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for v := range values {
				c.get(strconv.Itoa(v)).Add(1)
			}
		})
	}
	wg.Wait()
	if got := made.Load(); got != limit+1 {
		t.Errorf("%d metrics were made, want %d and one for the rest", got, limit)
	}
	var sum int64
	for _, n := range *c.known.Load() {
		sum += n.Load()
	}
	if sum != goroutines*values {
		t.Errorf("%d uses were counted, want %d", sum, goroutines*values)
	}
}
