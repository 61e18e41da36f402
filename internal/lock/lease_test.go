package lock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"orderconsumer/internal/lock"
)

// brief is a configuration whose lease is lost soon: it is never extended. A busy
// machine has the time to take it all the same.
var brief = lock.Config{Expiry: 3 * time.Second, TryTimeout: 2500 * time.Millisecond, ExtendEvery: -1}

func TestUnlock(t *testing.T) {
	t.Parallel()

	t.Run("releases although its context was cancelled", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			lease := mustLock(t, w.locker(t, lock.Config{}), "1")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := lease.Unlock(ctx); err != nil {
				t.Errorf("unlock: %v", err)
			}
			if w.exists(t, "1") {
				t.Error("the name is still held")
			}
		})
	})

	t.Run("may be called again", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			l := w.locker(t, lock.Config{})
			first := mustLock(t, l, "1")
			mustUnlock(t, first)
			second := mustLock(t, l, "1")
			mustUnlock(t, first)
			if !w.exists(t, "1") {
				t.Error("the second call released what another lease holds")
			}
			mustUnlock(t, second)
		})
	})

	t.Run("reports a lease that was lost, every time", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			w.letTimePass()
			lease := mustLock(t, w.locker(t, brief), "1", "2")
			await(t, "the lease is lost", lease.Lost())
			for range 2 {
				if err := lease.Unlock(t.Context()); !errors.Is(err, lock.ErrLost) {
					t.Errorf("got %v, want ErrLost", err)
				}
			}
		})
	})

	t.Run("leaves what belongs to another alone", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			w.letTimePass()
			old := mustLock(t, w.locker(t, brief), "1", "2")
			other := mustLock(t, w.locker(t, lock.Config{}), "2", "3")
			if err := old.Unlock(t.Context()); !errors.Is(err, lock.ErrLost) {
				t.Errorf("unlock after expiry: got %v, want ErrLost", err)
			}
			if !w.exists(t, "2") || !w.exists(t, "3") {
				t.Error("the other's names were released")
			}
			mustUnlock(t, other)
		})
	})

	t.Run("finds out that the names were gone", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			lease := mustLock(t, w.locker(t, lock.Config{}), "1", "2")
			w.vanish(t, "1")
			if err := lease.Unlock(t.Context()); !errors.Is(err, lock.ErrLost) {
				t.Errorf("got %v, want ErrLost", err)
			}
			if w.exists(t, "2") {
				t.Error("what was left of the set is still held")
			}
		})
	})

	t.Run("says when no server could be told", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 1)
		lease := mustLock(t, w.locker(t, lock.Config{}), "1")
		w.embedded[0].Close()
		err := lease.Unlock(t.Context())
		if !errors.Is(err, lock.ErrUnavailable) || errors.Is(err, lock.ErrLost) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	})
}

func TestLease(t *testing.T) {
	t.Parallel()

	t.Run("outlives the expiry while it is extended", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			w.letTimePass()
			const expiry = 4 * time.Second
			lease := mustLock(t, w.locker(t, lock.Config{Expiry: expiry, TryTimeout: expiry / 2}), "1", "2")
			ctx, cancel := context.WithTimeout(t.Context(), 2*expiry)
			defer cancel()
			if _, err := w.locker(t, lock.Config{}).Lock(ctx, []string{"2"}); !errors.Is(err, lock.ErrTaken) {
				t.Errorf("for twice the expiry: got %v, want ErrTaken", err)
			}
			select {
			case <-lease.Lost():
				t.Error("the lease was lost")
			default:
			}
			mustUnlock(t, lease)
		})
	})

	t.Run("is lost when its names vanish", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			lease := mustLock(t, w.locker(t, lock.Config{ExtendEvery: 20 * time.Millisecond}), "1", "2")
			w.vanish(t, "2") // as by FLUSHALL or a restart without persistence
			await(t, "the lease is lost", lease.Lost())
			if w.exists(t, "2") {
				t.Error("the extension took the name again")
			}
			if err := lease.Unlock(t.Context()); !errors.Is(err, lock.ErrLost) {
				t.Errorf("unlock: got %v, want ErrLost", err)
			}
			if w.exists(t, "1") {
				t.Error("what was left of the set is still held")
			}
		})
	})

	t.Run("is lost when the server forgets everything", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 1)
		lease := mustLock(t, w.locker(t, lock.Config{ExtendEvery: 20 * time.Millisecond}), "1")
		w.embedded[0].FlushAll()
		await(t, "the lease is lost", lease.Lost())
		if err := lease.Unlock(t.Context()); !errors.Is(err, lock.ErrLost) {
			t.Errorf("unlock: got %v, want ErrLost", err)
		}
	})

	t.Run("is lost when the server cannot be reached to extend it", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 1)
		lease := mustLock(t, w.locker(t, lock.Config{ExtendEvery: 20 * time.Millisecond}), "1")
		w.embedded[0].Close()
		await(t, "the lease is lost", lease.Lost())
		if err := lease.Unlock(t.Context()); !errors.Is(err, lock.ErrLost) {
			t.Errorf("unlock: got %v, want ErrLost", err)
		}
	})

	t.Run("can be unlocked at any moment of an extension", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			l := w.locker(t, lock.Config{ExtendEvery: 100 * time.Microsecond})
			for i := range 200 {
				lease := mustLock(t, l, "1", "2")
				select { // from before the first extension to after several
				case <-time.After(time.Duration(i) * 5 * time.Microsecond):
				case <-lease.Lost():
					t.Fatal("the lease was lost")
				}
				mustUnlock(t, lease)
				if w.exists(t, "1") {
					t.Fatal("an extension kept the name")
				}
			}
		})
	})
}
