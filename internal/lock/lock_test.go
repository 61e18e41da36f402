package lock_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/lock"
)

func TestLock(t *testing.T) {
	t.Parallel()

	t.Run("takes all of a set or nothing of it", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			a, b := w.locker(t, lock.Config{}), w.locker(t, lock.Config{})
			held := mustLock(t, a, "3")
			_, err := soon(t, b, "1", "2", "3", "4")
			if !errors.Is(err, lock.ErrTaken) {
				t.Fatalf("overlapping set: got %v, want ErrTaken", err)
			}
			var taken *lock.TakenError
			if !errors.As(err, &taken) || taken.Name != "3" {
				t.Errorf("in the way: got %+v, want the name 3", taken)
			}
			for _, name := range []string{"1", "2", "4"} {
				if w.exists(t, name) {
					t.Errorf("%s is held although the set was not", name)
				}
			}
			mustUnlock(t, held)
			all := mustLock(t, b, "1", "2", "3", "4")
			for _, name := range []string{"1", "2", "3", "4"} {
				if !w.exists(t, name) {
					t.Errorf("%s is not held although the set is", name)
				}
			}
			mustUnlock(t, all)
			for _, name := range []string{"1", "2", "3", "4"} {
				if w.exists(t, name) {
					t.Errorf("%s is held after the set was unlocked", name)
				}
			}
		})
	})

	t.Run("lets sets that share no name be held together", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			l := w.locker(t, lock.Config{})
			var leases []*lock.Lease
			for i := range 20 {
				leases = append(leases, mustLock(t, l, fmt.Sprint("a", i), fmt.Sprint("b", i)))
			}
			for _, lease := range leases {
				mustUnlock(t, lease)
			}
		})
	})

	t.Run("waits for the holder and then gets the set", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			var sent commands
			a, b := w.locker(t, lock.Config{}), w.locker(t, lock.Config{}, &sent)
			held := mustLock(t, a, "1", "2")
			got := make(chan struct{})
			go func() {
				defer close(got)
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				lease, err := b.Lock(ctx, []string{"2", "3"})
				if err != nil {
					t.Errorf("waiter: %v", err)
					return
				}
				if err := lease.Unlock(ctx); err != nil {
					t.Errorf("the waiter unlocks: %v", err)
				}
			}()
			eventually(t, "the waiter looks again and again", func() bool { return len(sent.named("exists")) > 5 })
			select {
			case <-got:
				t.Error("the waiter went on while the set was held")
			default:
			}
			mustUnlock(t, held)
			await(t, "the waiter gets the set", got)
			for _, exists := range sent.named("exists") {
				if diff := cmp.Diff([]any{"exists", w.prefix + "2"}, exists); diff != "" {
					t.Fatalf("the waiter looked at more than the key in its way (-want +got):\n%s", diff)
				}
			}
		})
	})

	t.Run("takes one round trip to lock and one to unlock", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			var sent commands
			l := w.locker(t, lock.Config{}, &sent)
			mustUnlock(t, mustLock(t, l, "warm", "up")) // may load the scripts
			// Another test may have a real Redis forget its scripts meanwhile. The client
			// then sends them whole, as eval, which is not counted.
			before := len(sent.named("evalsha"))
			mustUnlock(t, mustLock(t, l, "1", "2", "3"))
			if got := len(sent.named("evalsha")) - before; got != 2 {
				t.Errorf("commands sent: got %d, want 2", got)
			}
			if got := len(sent.named("exists")); got != 0 {
				t.Errorf("looked %d times at a key that nobody held", got)
			}
		})
	})

	t.Run("gives up a taken set without another round trip", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			var sent commands
			held := mustLock(t, w.locker(t, lock.Config{}), "1")
			// Paused until after the deadline, the waiter can only try once.
			once := w.locker(t, lock.Config{PollMin: time.Hour, PollMax: 2 * time.Hour}, &sent)
			if _, err := soon(t, once, "1", "2"); !errors.Is(err, lock.ErrTaken) {
				t.Fatalf("got %v, want ErrTaken", err)
			}
			if n := len(sent.named("eval")); n > 1 || len(sent.named("evalsha")) != 1 {
				t.Errorf("sent %d eval and %d evalsha, want one try", n, len(sent.named("evalsha")))
			}
			mustUnlock(t, held)
		})
	})

	t.Run("keeps prefixes apart", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			goods := w.locker(t, lock.Config{})
			jobs := w.locker(t, lock.Config{Prefix: w.prefix + "job:"})
			lease := mustLock(t, goods, "audit")
			mustUnlock(t, mustLock(t, jobs, "audit"))
			mustUnlock(t, lease)
		})
	})

	t.Run("takes thousands of names at once", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			// The embedded server's Lua is slow under the race detector.
			slow := lock.Config{Expiry: 60 * time.Second, TryTimeout: 15 * time.Second}
			a, b := w.locker(t, slow), w.locker(t, slow)
			names := make([]string, 5000)
			for i := range names {
				names[i] = fmt.Sprint("goods-", i)
			}
			last := mustLock(t, a, names[len(names)-1])
			if _, err := soon(t, b, names...); !errors.Is(err, lock.ErrTaken) {
				t.Errorf("with the last name taken: got %v, want ErrTaken", err)
			}
			mustUnlock(t, last)
			lease := mustLock(t, a, names...)
			for _, name := range []string{names[0], names[499], names[500], names[4999]} {
				if _, err := soon(t, b, name); !errors.Is(err, lock.ErrTaken) {
					t.Errorf("%s of a large set: got %v, want ErrTaken", name, err)
				}
			}
			mustUnlock(t, lease)
			mustUnlock(t, mustLock(t, b, names...))
		})
	})

	t.Run("counts a name given twice once", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			mustUnlock(t, mustLock(t, w.locker(t, lock.Config{}), "1", "2", "1"))
		})
	})

	t.Run("holds an empty set without asking anyone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, []string{"redis://127.0.0.1:1"})
		lease := mustLock(t, w.locker(t, lock.Config{}))
		mustUnlock(t, lease)
		mustUnlock(t, lease)
	})

	t.Run("refuses a set beyond the limit", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, []string{"redis://127.0.0.1:1"})
		_, err := soon(t, w.locker(t, lock.Config{}), make([]string, lock.MaxNames+1)...)
		if err == nil || errors.Is(err, lock.ErrUnavailable) {
			t.Errorf("got %v, want a refusal", err)
		}
	})
}

func TestLockEndsWithItsContext(t *testing.T) {
	t.Parallel()

	t.Run("a context that has ended is not tried", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := w.locker(t, lock.Config{}).Lock(ctx, []string{"1"}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
			if w.exists(t, "1") {
				t.Error("the name is held")
			}
		})
	})

	t.Run("a waiter that is cancelled says so", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			l := w.locker(t, lock.Config{})
			held := mustLock(t, l, "1")
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, cancel)
			_, err := l.Lock(ctx, []string{"1"})
			if !errors.Is(err, context.Canceled) || errors.Is(err, lock.ErrTaken) {
				t.Errorf("got %v, want context.Canceled", err)
			}
			mustUnlock(t, held)
		})
	})

	t.Run("a deadline that passes while waiting is ErrTaken", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			l := w.locker(t, lock.Config{})
			held := mustLock(t, l, "1")
			if _, err := soon(t, l, "1"); !errors.Is(err, lock.ErrTaken) {
				t.Errorf("got %v, want ErrTaken", err)
			}
			mustUnlock(t, held)
		})
	})
}

func TestPing(t *testing.T) {
	t.Parallel()
	onRedis(t, 1, func(t *testing.T, w *world) {
		if err := w.locker(t, lock.Config{}).Ping(t.Context()); err != nil {
			t.Errorf("a server that runs: %v", err)
		}
	})
	gone := newWorld(t, []string{"redis://127.0.0.1:1"})
	if err := gone.locker(t, lock.Config{}).Ping(t.Context()); !errors.Is(err, lock.ErrUnavailable) {
		t.Errorf("no server: got %v, want ErrUnavailable", err)
	}
}
