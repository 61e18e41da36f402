package lock_test

import (
	"errors"
	"testing"
	"time"

	"orderconsumer/internal/lock"
)

func TestQuorum(t *testing.T) {
	t.Parallel()

	t.Run("of three excludes and releases on all", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 3, func(t *testing.T, w *world) {
			a, b := w.locker(t, lock.Config{}), w.locker(t, lock.Config{})
			lease := mustLock(t, a, "1", "2")
			if _, err := soon(t, b, "2", "3"); !errors.Is(err, lock.ErrTaken) {
				t.Errorf("got %v, want ErrTaken", err)
			}
			mustUnlock(t, lease)
			if w.exists(t, "1") || w.exists(t, "2") || w.exists(t, "3") {
				t.Error("a name is still held on some server")
			}
		})
	})

	t.Run("of three works with one gone", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 3)
		a := w.locker(t, lock.Config{ExtendEvery: 10 * time.Millisecond})
		b := w.locker(t, lock.Config{})
		lease := mustLock(t, a, "1")
		w.embedded[2].Close()
		if _, err := soon(t, b, "1"); !errors.Is(err, lock.ErrTaken) {
			t.Errorf("got %v, want ErrTaken", err)
		}
		select {
		case <-lease.Lost():
			t.Error("the lease was lost with a quorum extending it")
		default:
		}
		mustUnlock(t, lease)
		mustUnlock(t, mustLock(t, b, "1"))
		if err := b.Ping(t.Context()); err != nil {
			t.Errorf("ping: %v", err)
		}
	})

	t.Run("of three is unavailable with two gone, until one is back", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 3)
		l := w.locker(t, lock.Config{})
		w.embedded[0].Close()
		w.embedded[1].Close()
		mustBeUnavailable(t, l, "1")
		if err := l.Ping(t.Context()); !errors.Is(err, lock.ErrUnavailable) {
			t.Errorf("ping: got %v, want ErrUnavailable", err)
		}
		n, err := w.plain[2].Exists(t.Context(), w.prefix+"1").Result()
		if n != 0 || err != nil {
			t.Errorf("the server that is left holds the name: got %d, %v", n, err)
		}
		if err := w.embedded[0].Restart(); err != nil {
			t.Fatal(err)
		}
		eventuallyLocks(t, l, "1")
	})

	t.Run("of three with two gone knows nothing, even if the third says taken", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 3)
		l := w.locker(t, lock.Config{})
		if err := w.plain[2].Set(t.Context(), w.prefix+"1", "other", 0).Err(); err != nil {
			t.Fatal(err)
		}
		w.embedded[0].Close()
		w.embedded[1].Close()
		mustBeUnavailable(t, l, "1")
	})

	t.Run("of three keeps its speed with one that does not answer", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 3, func(t *testing.T, w *world) {
			gates, through := newGates(t, w)
			l := through.locker(t, lock.Config{})
			gates[1].stop()
			mustUnlock(t, mustLock(t, l, "1")) // finds out
			const rounds = 10
			began := time.Now()
			for range rounds {
				mustUnlock(t, mustLock(t, l, "1"))
			}
			// Who waits for it, in each lock or in each unlock, takes twice this or more.
			if took := time.Since(began); took > rounds*testTryTimeout/2 {
				t.Errorf("%d locks with a server known to be gone took %v", rounds, took)
			}
			gates[1].cont()
			eventually(t, "the server is in use again", func() bool {
				lease := mustLock(t, l, "1")
				defer mustUnlock(t, lease)
				n, err := w.plain[1].Exists(t.Context(), w.prefix+"1").Result()
				return n == 1 && err == nil
			})
		})
	})

	t.Run("gives back at once what only a minority granted", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 3, func(t *testing.T, w *world) {
			l := w.locker(t, lock.Config{PollMin: time.Hour, PollMax: 2 * time.Hour})
			for _, client := range w.plain[:2] { // someone else has a quorum of name 2
				if err := client.Set(t.Context(), w.prefix+"2", "other", time.Minute).Err(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := soon(t, l, "1", "2"); !errors.Is(err, lock.ErrTaken) {
				t.Errorf("got %v, want ErrTaken", err)
			}
			if w.exists(t, "1") {
				t.Error("the minority still holds the name")
			}
			w.vanish(t, "2")
		})
	})

	t.Run("is had although a minority says taken", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 3, func(t *testing.T, w *world) {
			l := w.locker(t, lock.Config{ExtendEvery: 10 * time.Millisecond})
			stale := w.plain[0]
			if err := stale.Set(t.Context(), w.prefix+"1", "stale", time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			lease := mustLock(t, l, "1", "2")
			mustUnlock(t, lease)
			if value, err := stale.Get(t.Context(), w.prefix+"1").Result(); value != "stale" || err != nil {
				t.Errorf("the other's key: got %q, %v", value, err)
			}
			w.vanish(t, "1")
		})
	})

	t.Run("is lost with the majority", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 3)
		lease := mustLock(t, w.locker(t, lock.Config{ExtendEvery: 10 * time.Millisecond}), "1")
		w.embedded[0].FlushAll()
		w.embedded[1].FlushAll()
		await(t, "the lease is lost", lease.Lost())
		if err := lease.Unlock(t.Context()); !errors.Is(err, lock.ErrLost) {
			t.Errorf("unlock: got %v, want ErrLost", err)
		}
	})
}
