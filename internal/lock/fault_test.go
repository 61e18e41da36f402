package lock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"orderconsumer/internal/lock"
)

// fast is how soon ErrUnavailable has to come. It takes a TryTimeout or two
// (TestTimes is exact about it), and much longer on a busy machine.
const fast = patience / 2

// mustBeUnavailable locks and wants ErrUnavailable, fast.
func mustBeUnavailable(t testing.TB, l *lock.Locker, names ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience) // it must not wait for it
	defer cancel()
	began := time.Now()
	lease, err := l.Lock(ctx, names)
	took := time.Since(began)
	if err == nil {
		mustUnlock(t, lease)
	}
	if !errors.Is(err, lock.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if took > fast {
		t.Errorf("took %v, want at most %v", took, fast)
	}
}

// eventuallyLocks waits until the locker has its servers back.
func eventuallyLocks(t testing.TB, l *lock.Locker, names ...string) {
	t.Helper()
	eventually(t, "the set can be locked again", func() bool {
		lease, err := soon(t, l, names...)
		if err != nil {
			return false
		}
		mustUnlock(t, lease)
		return true
	})
}

func TestRedisFails(t *testing.T) {
	t.Parallel()

	t.Run("a server that is gone is reported fast, then at once, and comes back by itself", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 1)
		l := w.locker(t, lock.Config{})
		mustUnlock(t, mustLock(t, l, "1"))
		w.embedded[0].Close()
		mustBeUnavailable(t, l, "1")
		began := time.Now()
		for range 1000 {
			if _, err := l.Lock(t.Context(), []string{"1"}); !errors.Is(err, lock.ErrUnavailable) {
				t.Fatalf("got %v, want ErrUnavailable", err)
			}
		}
		if took := time.Since(began); took > fast {
			t.Errorf("a thousand times knowing it is gone took %v", took)
		}
		if err := l.Ping(t.Context()); !errors.Is(err, lock.ErrUnavailable) {
			t.Errorf("ping: got %v, want ErrUnavailable", err)
		}
		if err := w.embedded[0].Restart(); err != nil {
			t.Fatal(err)
		}
		eventuallyLocks(t, l, "1")
	})

	t.Run("a server that accepts and never answers is reported fast", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			gates, through := newGates(t, w)
			l := through.locker(t, lock.Config{})
			gates[0].stop()
			mustBeUnavailable(t, l, "1")
			began := time.Now()
			if err := l.Ping(t.Context()); !errors.Is(err, lock.ErrUnavailable) || time.Since(began) > fast {
				t.Errorf("ping: got %v after %v, want ErrUnavailable", err, time.Since(began))
			}
			gates[0].cont()
			eventuallyLocks(t, l, "1")
		})
	})

	t.Run("a try that timed out does not keep the names", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			gates, through := newGates(t, w)
			l := through.locker(t, lock.Config{Expiry: time.Minute, TryTimeout: testTryTimeout})
			mustUnlock(t, mustLock(t, l, "1", "2")) // a connection is ready
			gates[0].stop()
			mustBeUnavailable(t, l, "1", "2")
			if gates[0].waiting() == 0 {
				t.Fatal("nothing is on its way to the server")
			}
			gates[0].cont() // now the try arrives and sets the keys
			eventuallyLocks(t, l, "1", "2")
			eventuallyLocks(t, w.locker(t, lock.Config{}), "1", "2")
		})
	})

	t.Run("an unlock that timed out is made up for", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			gates, through := newGates(t, w)
			l := through.locker(t, lock.Config{Expiry: time.Minute, TryTimeout: testTryTimeout})
			lease, second := mustLock(t, l, "1", "2"), mustLock(t, l, "3")
			gates[0].stop()
			if err := lease.Unlock(t.Context()); !errors.Is(err, lock.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
			began := time.Now()
			if err := second.Unlock(t.Context()); !errors.Is(err, lock.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
			if took := time.Since(began); took >= testTryTimeout {
				t.Errorf("the second unlock waited %v for a server known to be gone", took)
			}
			gates[0].cont()
			eventuallyLocks(t, w.locker(t, lock.Config{}), "1", "2", "3")
		})
	})

	t.Run("connections that broke are not noticed", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			gates, through := newGates(t, w)
			l := through.locker(t, lock.Config{})
			for range 20 {
				lease := mustLock(t, l, "1")
				mustUnlock(t, lease)
				gates[0].reset()
			}
		})
	})

	t.Run("a connection that breaks during a try is not noticed", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			gates, through := newGates(t, w)
			l := through.locker(t, lock.Config{Expiry: time.Minute, TryTimeout: 15 * time.Second})
			mustUnlock(t, mustLock(t, l, "1")) // a connection is ready
			gates[0].stop()
			locked := make(chan *lock.Lease, 1)
			go func() {
				lease, err := l.Lock(t.Context(), []string{"1"})
				if err != nil {
					t.Errorf("lock: %v", err)
				}
				locked <- lease
			}()
			eventually(t, "the try is on its way", func() bool { return gates[0].waiting() > 0 })
			gates[0].reset()
			gates[0].cont()
			if lease := <-locked; lease != nil {
				mustUnlock(t, lease)
			}
		})
	})

	t.Run("a server that refuses is reported at once and comes back", func(t *testing.T) {
		t.Parallel()
		for _, refusal := range []string{
			"LOADING Redis is loading the dataset in memory",
			"READONLY You can't write against a read only replica.",
			"OOM command not allowed when used memory > 'maxmemory'.",
			"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
			"NOPERM this user has no permissions to run the 'evalsha' command",
			"ERR max number of clients reached",
		} {
			w := embedded(t, 1)
			l := w.locker(t, lock.Config{Expiry: 3 * patience, TryTimeout: 5 * fast / 2})
			mustUnlock(t, mustLock(t, l, "1"))
			w.embedded[0].SetError(refusal)
			mustBeUnavailable(t, l, "1")
			w.embedded[0].SetError("")
			eventuallyLocks(t, l, "1")
		}
	})

	t.Run("forgotten scripts are sent again", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			l := w.locker(t, lock.Config{})
			for range 3 {
				lease := mustLock(t, l, "1")
				if err := w.plain[0].ScriptFlush(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				mustUnlock(t, lease)
			}
		})
	})

	t.Run("a waiter is told when the server goes", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 1)
		var sent commands
		held := mustLock(t, w.locker(t, lock.Config{}), "1")
		waiter := w.locker(t, lock.Config{}, &sent)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := waiter.Lock(t.Context(), []string{"1"}); !errors.Is(err, lock.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
		}()
		eventually(t, "the waiter polls", func() bool { return len(sent.named("exists")) > 0 })
		w.embedded[0].Close()
		await(t, "the waiter gives up", done)
		if err := held.Unlock(t.Context()); err == nil {
			t.Error("unlock without a server: no error")
		}
	})
}
