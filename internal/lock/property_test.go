package lock_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orderconsumer/internal/lock"
)

// holders counts who holds each name, without the lock's help.
type holders []atomic.Int32

// enter and leave return an error if someone else is in.
func (h holders) enter(set []int) error {
	for _, name := range set {
		if n := h[name].Add(1); n != 1 {
			return fmt.Errorf("name %d has %d holders", name, n)
		}
	}
	return nil
}

func (h holders) leave(set []int) error {
	for _, name := range set {
		if n := h[name].Add(-1); n != 0 {
			return fmt.Errorf("name %d had %d other holders", name, n)
		}
	}
	return nil
}

// hold locks a set again and again until it has it, and looks whether anyone
// else has a part of it.
func hold(ctx context.Context, l *lock.Locker, set []int, h holders) error {
	names := make([]string, len(set))
	for i, name := range set {
		names[i] = fmt.Sprint(name)
	}
	for {
		lease, err := l.Lock(ctx, names)
		if errors.Is(err, lock.ErrUnavailable) && ctx.Err() == nil {
			select { // leave the processor to those who bring the servers back
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("set %v: %w", set, err)
		}
		err = h.enter(set)
		runtime.Gosched() // someone else's turn to come in, if the lock lets him
		err = errors.Join(err, h.leave(set))
		if unlock := lease.Unlock(ctx); !errors.Is(unlock, lock.ErrUnavailable) {
			err = errors.Join(err, unlock)
		}
		return err
	}
}

// run lets workers hold their sets, one after the other, all workers at once.
func run(lockers []*lock.Locker, work [][][]int, names int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	h := make(holders, names)
	failures := make([]error, len(work))
	var workers sync.WaitGroup
	for i, sets := range work {
		workers.Go(func() {
			for _, set := range sets {
				if failures[i] = hold(ctx, lockers[i%len(lockers)], set, h); failures[i] != nil {
					return
				}
			}
		})
	}
	workers.Wait()
	return errors.Join(failures...)
}

// These tests want the machine for themselves: they are not parallel to others.

func TestNeverTwoHolders(t *testing.T) {
	const names = 6
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("on %d servers, and everyone gets a turn", servers), func(t *testing.T) {
			onRedis(t, servers, func(t *testing.T, w *world) {
				cfg := lock.Config{Expiry: time.Minute, TryTimeout: 5 * time.Second, PollMin: 100 * time.Microsecond, PollMax: time.Millisecond}
				lockers := []*lock.Locker{w.locker(t, cfg), w.locker(t, cfg), w.locker(t, cfg)}
				rapid.Check(t, func(t *rapid.T) {
					set := rapid.SliceOfNDistinct(rapid.IntRange(0, names-1), 1, names, rapid.ID[int])
					work := rapid.SliceOfN(rapid.SliceOfN(set, 1, 3), 2, 5).Draw(t, "work")
					if err := run(lockers, work, names); err != nil {
						t.Fatal(err)
					}
				})
			})
		})
	}
}

func TestNeverTwoHoldersInATorment(t *testing.T) {
	const names = 6
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("on %d servers whose connections break and stall", servers), func(t *testing.T) {
			onRedis(t, servers, func(t *testing.T, w *world) {
				w.letTimePass()
				// Longer than any hold, so that nothing may ever expire in a holder's
				// hands; shorter than patience, for what could not be cleaned up.
				cfg := lock.Config{Expiry: patience / 6, TryTimeout: longestStall / 2}
				gates, through := newGates(t, w)
				lockers := []*lock.Locker{through.locker(t, cfg), through.locker(t, cfg), through.locker(t, cfg)}
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				chance := rand.New(rand.NewPCG(seed, 0))
				work := make([][][]int, 6)
				for i := range work {
					for range 10 {
						work[i] = append(work[i], chance.Perm(names)[:1+chance.IntN(3)])
					}
				}
				ctx, stop := context.WithCancel(t.Context())
				var nemesis sync.WaitGroup
				nemesis.Go(func() { torment(ctx, gates, chance) })
				err := run(lockers, work, names)
				stop()
				nemesis.Wait()
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// longestStall is how long a server is stopped at most; a try times out halfway.
const longestStall = 500 * time.Millisecond

// torment breaks or stalls a server now and then until ctx ends.
func torment(ctx context.Context, gates []*gate, chance *rand.Rand) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		g := gates[chance.IntN(len(gates))]
		if chance.IntN(2) == 0 {
			g.reset()
			continue
		}
		g.stop()
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(chance.Int64N(int64(longestStall)))):
		}
		g.cont()
	}
}
