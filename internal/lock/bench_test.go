package lock_test

import (
	"fmt"
	"testing"
	"time"

	"orderconsumer/internal/lock"
)

// BenchmarkLockUnlock is what a batch pays for its lock when nobody is in its
// way: on an embedded server, and on those of REDIS_URL if it is set.
func BenchmarkLockUnlock(b *testing.B) {
	for _, names := range []int{1, 10, 100, 500} {
		b.Run(fmt.Sprintf("embedded/names=%d", names), func(b *testing.B) {
			lockUnlock(b, embedded(b, 1), names)
		})
	}
	urls := realServers()
	for _, servers := range []int{1, 3} {
		if len(urls) < servers {
			continue
		}
		for _, names := range []int{1, 10, 100, 500} {
			b.Run(fmt.Sprintf("real%d/names=%d", servers, names), func(b *testing.B) {
				lockUnlock(b, newWorld(b, urls[:servers]), names)
			})
		}
	}
}

func lockUnlock(b *testing.B, w *world, n int) {
	l := w.locker(b, lock.Config{Expiry: time.Minute, TryTimeout: 5 * time.Second})
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("goods-", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		lease, err := l.Lock(b.Context(), names)
		if err != nil {
			b.Fatal(err)
		}
		if err := lease.Unlock(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
