package lock_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"orderconsumer/internal/lock"
)

// bubble is a server and clients inside a synctest bubble, where time passes
// only while everybody waits.
type bubble struct {
	t       *testing.T
	server  *miniredis.Miniredis
	stopped atomic.Bool // new connections are accepted and never answered
}

func inBubble(t *testing.T, test func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, server: miniredis.NewMiniRedis()}
		b.server.ClockTTL(true)
		t.Cleanup(b.server.Close)
		test(t, b)
	})
}

// silence is a connection whose other end never says anything.
type silence struct{ net.Conn }

// Write takes everything, as the kernel does for a stopped process.
func (silence) Write(p []byte) (int, error) { return len(p), nil }

// locker makes a Locker in the bubble. slow, if not nil, delays each script.
func (b *bubble) locker(cfg lock.Config, slow delays) *lock.Locker {
	client := redis.NewClient(&redis.Options{
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			if b.stopped.Load() {
				here, _ := net.Pipe()
				return silence{here}, nil
			}
			return b.server.Dial()
		},
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, ConnMaxIdleTime: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	if slow != nil {
		client.AddHook(slow)
	}
	l, err := lock.New([]redis.UniversalClient{client}, cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		l.Close()
		client.Close()
	})
	return l
}

// delays is a hook that keeps scripts, and their answers, for a while, whatever
// their context says.
type delays func() (script, answer time.Duration)

// ProcessHook implements redis.Hook.
func (d delays) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !strings.HasPrefix(cmd.Name(), "eval") {
			return next(ctx, cmd)
		}
		script, answer := d()
		time.Sleep(script)
		err := next(ctx, cmd)
		time.Sleep(answer)
		return err
	}
}

// DialHook implements redis.Hook.
func (d delays) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (d delays) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// lostAfter returns when the lease was lost, counted from since.
func lostAfter(lease *lock.Lease, since time.Time) time.Duration {
	<-lease.Lost()
	return time.Since(since)
}

func TestTimes(t *testing.T) {
	t.Parallel()

	t.Run("a lease is extended for as long as it is held", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, b *bubble) {
			lease := mustLock(t, b.locker(lock.Config{}, nil), "1")
			time.Sleep(time.Hour)
			select {
			case <-lease.Lost():
				t.Error("the lease was lost")
			default:
			}
			mustUnlock(t, lease)
		})
	})

	t.Run("a lease that is not extended is lost before the names are free", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, b *bubble) {
			began := time.Now()
			lease := mustLock(t, b.locker(lock.Config{ExtendEvery: -1}, nil), "1")
			if got, want := lostAfter(lease, began), 2970*time.Millisecond; got != want {
				t.Errorf("lost after %v, want %v", got, want)
			}
			other := mustLock(t, b.locker(lock.Config{}, nil), "1")
			if got := time.Since(began); got < 3*time.Second || got > 3*time.Second+lock.DefaultPollMax {
				t.Errorf("free after %v, want 3s and a pause at most", got)
			}
			if err := lease.Unlock(t.Context()); !errors.Is(err, lock.ErrLost) {
				t.Errorf("unlock: got %v, want ErrLost", err)
			}
			mustUnlock(t, other)
		})
	})

	t.Run("a waiter gives up at its deadline", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, b *bubble) {
			l := b.locker(lock.Config{}, nil)
			held := mustLock(t, l, "1")
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			began := time.Now()
			if _, err := l.Lock(ctx, []string{"1"}); !errors.Is(err, lock.ErrTaken) {
				t.Errorf("got %v, want ErrTaken", err)
			}
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("took %v, want 10s", took)
			}
			mustUnlock(t, held)
		})
	})

	t.Run("a stopped server costs one timeout, and nothing when that is known", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, b *bubble) {
			l := b.locker(lock.Config{}, nil)
			b.stopped.Store(true)
			for _, want := range []time.Duration{lock.DefaultTryTimeout, 0, 0} {
				began := time.Now()
				if _, err := l.Lock(t.Context(), []string{"1"}); !errors.Is(err, lock.ErrUnavailable) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
				if took := time.Since(began); took != want {
					t.Errorf("took %v, want %v", took, want)
				}
			}
			b.stopped.Store(false)
			time.Sleep(time.Second) // the next probe
			mustUnlock(t, mustLock(t, l, "1"))
		})
	})

	t.Run("an extension without an answer loses the lease while the names are still held", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, b *bubble) {
			var stuck atomic.Bool
			l := b.locker(lock.Config{}, func() (script, answer time.Duration) {
				if stuck.Load() {
					return 400 * time.Millisecond, 0 // longer than a TryTimeout
				}
				return 0, 0
			})
			began := time.Now()
			lease := mustLock(t, l, "1")
			stuck.Store(true)
			if got := lostAfter(lease, began); got != 1400*time.Millisecond {
				t.Errorf("lost after %v, want the extension after 1s and its failure", got)
			}
			stuck.Store(false)
			if err := lease.Unlock(t.Context()); !errors.Is(err, lock.ErrLost) {
				t.Errorf("unlock: got %v, want ErrLost", err)
			}
			time.Sleep(time.Second)
			mustUnlock(t, mustLock(t, l, "1"))
		})
	})

	t.Run("an extension that overruns its deadline is not waited for", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, b *bubble) {
			var stuck atomic.Bool
			l := b.locker(lock.Config{}, func() (script, answer time.Duration) {
				if stuck.CompareAndSwap(true, false) {
					return time.Minute, 0
				}
				return 0, 0
			})
			began := time.Now()
			lease := mustLock(t, l, "1")
			stuck.Store(true)
			if got := lostAfter(lease, began); got != 2970*time.Millisecond {
				t.Errorf("lost after %v, want the end of what it was good for", got)
			}
			if err := lease.Unlock(t.Context()); !errors.Is(err, lock.ErrLost) {
				t.Errorf("unlock: got %v, want ErrLost", err)
			}
		})
	})

	t.Run("a lock granted too late is given back", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, b *bubble) {
			l := b.locker(lock.Config{}, nil)
			late := b.locker(lock.Config{Expiry: time.Second}, func() (script, answer time.Duration) {
				return 0, 995 * time.Millisecond // later than the lease would be good for
			})
			mustUnlock(t, mustLock(t, l, "1")) // the server knows the scripts
			if _, err := late.Lock(t.Context(), []string{"1"}); !errors.Is(err, lock.ErrUnavailable) || !strings.Contains(err.Error(), "too slow") {
				t.Errorf("got %v, want ErrUnavailable: too slow", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			lease, err := l.Lock(ctx, []string{"1"})
			if err != nil {
				t.Fatalf("the name is still held: %v", err)
			}
			mustUnlock(t, lease)
		})
	})
}
