package cache

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestEarly: the share of questions that rebuild ahead is what the paper says,
// exp(-left/cost), and none does long before the end.
func TestEarly(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	const questions = 200_000
	for _, left := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, time.Second} {
		e := Entry{Age: 10*time.Second - left, Life: 10 * time.Second, Cost: 5 * time.Millisecond}
		early := 0
		for range questions {
			if e.early(1 - random.Float64()) {
				early++
			}
		}
		want := math.Exp(-left.Seconds() / e.Cost.Seconds())
		if got := float64(early) / questions; math.Abs(got-want) > .005 {
			t.Errorf("%s before the end %.4f of the questions rebuild, want %.4f", left, got, want)
		}
	}
}

// TestLifetimes: entries made together end over a fifth of the lifetime, and none
// later than the setting says.
func TestLifetimes(t *testing.T) {
	t.Parallel()
	const ttl = 10 * time.Second
	var tenths [10]int
	random := rand.New(rand.NewPCG(7, 7))
	for range 10_000 {
		life := lifetime(ttl, random.Float64())
		if life < 8*time.Second || life > ttl {
			t.Fatalf("lifetime %s of a setting of %s", life, ttl)
		}
		tenths[min(9, int((life-8*time.Second)/(200*time.Millisecond)))]++
	}
	for i, n := range tenths {
		if n < 800 || n > 1200 {
			t.Errorf("%d of 10000 lifetimes in tenth %d of the range", n, i)
		}
	}
}
