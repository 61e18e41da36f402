package cache_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/cache"
	cacheredis "orderconsumer/internal/stock/cache/redis"
)

// The tests in this file are about time, which passes only while everybody waits:
// a busy machine changes nothing.

// bubble is a cache, its Redis and a database inside a synctest bubble.
type bubble struct {
	*testing.T
	redis    *miniredis.Miniredis
	cache    *cache.Cache
	observed *observed

	reads      atomic.Int64  // what reached the store
	connecting time.Duration // what a connection takes
	hello      atomic.Int64  // and after that a HELLO, which is also AUTH, in nanoseconds
	mget       atomic.Int64  // and a question, likewise
	silent     atomic.Bool   // Redis takes everything and answers nothing
	stuck      chan struct{} // the database does not answer until it is closed
}

// counted is the store that is tested, and counts what it is asked.
type counted struct {
	*cacheredis.Store
	bubble *bubble
}

// Read implements cache.Store.
func (c counted) Read(ctx context.Context, goods []string) ([]*cache.Entry, error) {
	c.bubble.reads.Add(1)
	return c.Store.Read(ctx, goods)
}

// Levels implements cache.Source: there are seven of everything.
func (b *bubble) Levels(ctx context.Context, goods []string) (map[string]stock.Level, error) {
	if b.stuck != nil {
		select {
		case <-b.stuck:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	levels := make(map[string]stock.Level, len(goods))
	for _, id := range goods {
		levels[id] = stock.Level{Goods: id, Version: 1, Available: 7}
	}
	return levels, nil
}

func inBubble(t *testing.T, timeout time.Duration, test func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{
			T: t, redis: miniredis.NewMiniRedis(),
			observed: &observed{lookups: make(map[string]int)},
		}
		store, err := cacheredis.Open(cacheredis.Config{URL: "redis://none/0", Stale: longTTL, Timeout: timeout, Dial: b.dial})
		if err != nil {
			t.Fatal(err)
		}
		b.cache, err = cache.New(cache.Config{TTL: longTTL, Stale: longTTL}, cache.Deps{Store: counted{store, b}, Source: b, Observer: b.observed})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			b.cache.Close()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			b.redis.Close()
		}()
		test(b)
	})
}

// dial connects to the Redis, in the time that it takes.
func (b *bubble) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	select {
	case <-time.After(b.connecting):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	conn, err := b.redis.Dial()
	return slowly{conn, b}, err
}

// slowly is a connection that takes as long as the bubble says.
type slowly struct {
	net.Conn
	bubble *bubble
}

// Write implements net.Conn.
func (s slowly) Write(p []byte) (int, error) {
	if s.bubble.silent.Load() {
		return len(p), nil // as the kernel does for a stopped process
	}
	switch { // commands are arrays of texts: *2\r\n$5\r\nhello\r\n...
	case hasCommand(p, "hello"):
		time.Sleep(time.Duration(s.bubble.hello.Load()))
	case hasCommand(p, "mget"):
		time.Sleep(time.Duration(s.bubble.mget.Load()))
	}
	return s.Conn.Write(p)
}

// hasCommand reports whether what is sent begins with the command.
func hasCommand(sent []byte, command string) bool {
	parts := bytes.SplitN(sent, []byte("\r\n"), 4)
	return len(parts) > 2 && parts[0][0] == '*' && bytes.EqualFold(parts[2], []byte(command))
}

// ask asks for goods of which there are seven, and returns how long that took.
func (b *bubble) ask(goods ...string) time.Duration {
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Second) // as the API does
	defer cancel()
	began := time.Now()
	levels, _, err := b.cache.Levels(ctx, goods)
	if err != nil || len(levels) != len(goods) || levels[goods[0]].Available != 7 {
		b.Errorf("%d levels of %d goods after %s, %v", len(levels), len(goods), time.Since(began), err)
	}
	return time.Since(began)
}

// askEach asks for each of the goods, all at once, and returns how long each took,
// the shortest first.
func (b *bubble) askEach(questions ...[]string) []time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	atOnce(len(questions), func(i int) {
		one := b.ask(questions[i]...)
		mu.Lock()
		defer mu.Unlock()
		took = append(took, one)
	})
	slices.Sort(took)
	return took
}

// TestSilenceCountsAsWaiting: with a Redis that is silent and a database that is
// silent, too, a question is refused after its patience, not after the silence
// and then the patience.
func TestSilenceCountsAsWaiting(t *testing.T) {
	t.Parallel()
	const silence = cache.DefaultPatience * 3 / 4
	inBubble(t, silence, func(b *bubble) {
		b.ask("a")
		b.silent.Store(true)
		b.stuck = make(chan struct{})
		defer close(b.stuck)
		began := time.Now()
		_, _, err := b.cache.Levels(b.Context(), []string{"a"})
		if took := time.Since(began); !errors.Is(err, stock.ErrOverloaded) || took != cache.DefaultPatience {
			t.Errorf("%v after %s, want it overloaded after %s", err, took, cache.DefaultPatience)
		}
	})
}

// TestASilentRedisIsWaitedForByOne: when Redis falls silent, no question waits
// for more than one silence, though its connections have to be made anew; and from
// then on one question at a time goes to see, while the database answers the others.
func TestASilentRedisIsWaitedForByOne(t *testing.T) {
	t.Parallel()
	const silence = 300 * time.Millisecond
	inBubble(t, silence, func(b *bubble) {
		goods := slices.Collect(slices.Chunk(names("goods-", 50), 1))
		b.ask(goods[0]...)
		b.silent.Store(true)
		if took := b.askEach(goods...); took[len(took)-1] != silence {
			t.Errorf("a question waited for %s, want no more than one silence of %s", took[len(took)-1], silence)
		}
		for range 5 {
			time.Sleep(time.Second) // for so long Redis is left alone
			b.reads.Store(0)
			took := b.askEach(goods...)
			if n := b.reads.Load(); n != 1 {
				t.Errorf("%d questions went to see a Redis that was known to be silent, want one", n)
			}
			if took[len(took)-1] > silence || took[len(took)-2] != 0 {
				t.Errorf("the longest waited for %s and %s, want %s at the most and 0s", took[len(took)-1], took[len(took)-2], silence)
			}
		}
		if n := b.observed.count(cache.LookupDatabase); n != 6*len(goods) {
			t.Errorf("the database answered %d questions, want %d", n, 6*len(goods))
		}
	})
}

// TestASlowRedisIsGivenUp: a Redis that answers each question within the timeout,
// but not as many as there are, is as good as gone: nobody waits in its queue until
// there is no time left for the database.
func TestASlowRedisIsGivenUp(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	inBubble(t, timeout, func(b *bubble) {
		questions := slices.Collect(slices.Chunk(names("goods-", 9000), 200))
		for _, q := range questions {
			b.ask(q...)
		}
		b.mget.Store(int64(timeout * 5 / 6)) // five look-ups are one question to Redis: it needs 2.25 s for all
		took := b.askEach(questions...)
		if most := took[len(took)-1]; most > 2*timeout {
			t.Errorf("a question waited for %s, want %s at the most", most, 2*timeout)
		}
		if n := b.observed.count(cache.LookupHit); n == 0 {
			t.Error("Redis answered nothing")
		}
		if b.observed.down != 1 {
			t.Errorf("Redis was given up %d times, want once", b.observed.down)
		}
	})
}

// TestASlowConnectionComesUp: what is slow to connect to is not waited for, and
// used as soon as it is connected.
func TestASlowConnectionComesUp(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	for name, c := range map[string]struct{ network, hello time.Duration }{
		"network and TLS":             {2500 * time.Millisecond, 0},
		"network, TLS and AUTH":       {200 * time.Millisecond, 200 * time.Millisecond},
		"each of them, and far apart": {2500 * time.Millisecond, 250 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, timeout, func(b *bubble) {
				b.connecting = c.network
				b.hello.Store(int64(c.hello))
				for range 20 {
					if took := b.ask("a"); took > 2*timeout {
						t.Errorf("a question waited for %s, want %s at the most", took, 2*timeout)
					}
					time.Sleep(time.Second)
				}
				b.hello.Store(0)
				hits := b.observed.count(cache.LookupHit)
				b.ask("a")
				if b.observed.count(cache.LookupHit) == hits {
					t.Error("not answered from Redis after 20 s")
				}
			})
		})
	}
}
