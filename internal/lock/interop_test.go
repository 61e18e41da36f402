package lock_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"

	"orderconsumer/internal/lock"
)

// ordinary makes a mutex on one name as another service would: redsync on its
// own, one plain key.
func (w *world) ordinary(name string, options ...redsync.Option) *redsync.Mutex {
	pools := make([]redsyncredis.Pool, len(w.plain))
	for i, client := range w.plain {
		pools[i] = goredis.NewPool(client)
	}
	return redsync.New(pools...).NewMutex(w.prefix+name, options...)
}

func TestOrdinaryRedsync(t *testing.T) {
	t.Parallel()
	for _, servers := range []int{1, 3} {
		t.Run("is excluded by a set", func(t *testing.T) {
			t.Parallel()
			onRedis(t, servers, func(t *testing.T, w *world) {
				lease := mustLock(t, w.locker(t, lock.Config{}), "1", "2", "3")
				err := w.ordinary("2").TryLock()
				if _, ok := errors.AsType[*redsync.ErrTaken](err); !ok {
					t.Errorf("while the set is held: got %v, want ErrTaken", err)
				}
				if err := w.ordinary("4").TryLock(); err != nil {
					t.Errorf("another name: %v", err)
				}
				mustUnlock(t, lease)
				if err := w.ordinary("2").TryLock(); err != nil {
					t.Errorf("after the set was unlocked: %v", err)
				}
			})
		})

		t.Run("excludes a set", func(t *testing.T) {
			t.Parallel()
			onRedis(t, servers, func(t *testing.T, w *world) {
				l := w.locker(t, lock.Config{})
				other := w.ordinary("2")
				if err := other.TryLock(); err != nil {
					t.Fatal(err)
				}
				_, err := soon(t, l, "1", "2", "3")
				var taken *lock.TakenError
				if !errors.As(err, &taken) || taken.Name != "2" {
					t.Errorf("while the other holds a name: got %v, want it taken", err)
				}
				if ok, err := other.Extend(); !ok || err != nil {
					t.Errorf("the other extends: got %v, %v", ok, err)
				}
				if ok, err := other.Unlock(); !ok || err != nil {
					t.Errorf("the other unlocks: got %v, %v", ok, err)
				}
				mustUnlock(t, mustLock(t, l, "1", "2", "3"))
			})
		})
	}

	t.Run("gets a name as soon as its holder is gone", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			w.letTimePass()
			l := w.locker(t, brief)
			lease := mustLock(t, l, "1", "2")
			other := w.ordinary("2", redsync.WithTries(1000), redsync.WithRetryDelay(5*time.Millisecond))
			if err := other.Lock(); err != nil {
				t.Errorf("after the holder's expiry: %v", err)
			}
			if err := lease.Unlock(t.Context()); !errors.Is(err, lock.ErrLost) {
				t.Errorf("the old holder unlocks: got %v, want ErrLost", err)
			}
			if ok, err := other.Unlock(); !ok || err != nil {
				t.Errorf("the new holder unlocks: got %v, %v", ok, err)
			}
		})
	})
}
