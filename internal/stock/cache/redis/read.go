package redis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/stock/cache"
)

// questionMost is the most goods of one question to Redis, which serves nobody
// else meanwhile: some hundred microseconds.
const questionMost = 1000

// question is look-ups that go to Redis together.
type question struct {
	goods []string
	done  chan struct{}

	found []cache.Entry // by place in goods; these are set when done is closed
	has   []bool
	err   error
}

// looks has look-ups that come while others are under way wait for them and go
// together. Under light load each goes alone and at once; under heavy load a
// round trip carries dozens, and neither Redis nor this process spends most of
// its time on saying hello. One question is under way at a time: with two, each
// carries half as much, and an answer costs a fifth more processor time.
type looks struct {
	store *Store

	mu     sync.Mutex
	next   []*question // not under way yet; all but the last are full
	asking bool
}

// Read implements cache.Store.
func (s *Store) Read(ctx context.Context, goods []string) ([]*cache.Entry, error) {
	q, first := s.looks.add(goods)
	select {
	case <-q.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("read %d goods from the cache: %w", len(goods), ctx.Err())
	}
	if q.err != nil {
		return nil, q.err
	}
	found := make([]*cache.Entry, len(goods))
	for i := range found {
		if q.has[first+i] {
			found[i] = &q.found[first+i]
		}
	}
	return found, nil
}

// add puts the goods into the next question, where they begin at first.
func (l *looks) add(goods []string) (q *question, first int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.next); n > 0 && len(l.next[n-1].goods)+len(goods) <= questionMost {
		q = l.next[n-1]
	} else {
		q = &question{done: make(chan struct{})}
		l.next = append(l.next, q)
	}
	first = len(q.goods)
	q.goods = append(q.goods, goods...)
	if !l.asking {
		l.asking = true
		go l.ask()
	}
	return q, first
}

// ask asks until there is nothing to ask.
func (l *looks) ask() {
	for {
		l.mu.Lock()
		if len(l.next) == 0 {
			l.asking = false
			l.mu.Unlock()
			return
		}
		q := l.next[0]
		l.next = l.next[1:]
		l.mu.Unlock()
		// Of many askers none may end it. One timeout is for all of it: a client that
		// has to connect first, to a server that is silent, waits for several.
		ctx, cancel := context.WithTimeout(context.Background(), l.store.cfg.Timeout)
		q.err = q.ask(ctx, l.store)
		cancel()
		close(q.done)
		if q.err != nil {
			l.fail(q.err)
		}
	}
}

// fail answers what waits with the failure of the question before it: the next
// one would wait for the same silence.
func (l *looks) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.next {
		q.err = err
		close(q.done)
	}
	l.next = nil
}

// ask is two round trips at the most: the entries, and of the goods that have
// none, whether they are known not to exist.
func (q *question) ask(ctx context.Context, s *Store) error {
	keys := make([]string, len(q.goods))
	for i, id := range q.goods {
		keys[i] = s.levelKey(id)
	}
	pipe := s.client.Pipeline()
	texts, clock := pipe.MGet(ctx, keys...), pipe.Time(ctx)
	_, err := pipe.Exec(ctx)
	if err != nil {
		return fmt.Errorf("read %d goods from the cache: %w", len(q.goods), err)
	}
	now := clock.Val().UnixMicro()
	q.found, q.has = make([]cache.Entry, len(q.goods)), make([]bool, len(q.goods))
	var missing []int
	for i, value := range texts.Val() {
		text, _ := value.(string) // nothing is nil
		q.found[i], q.has[i], err = parse(q.goods[i], text, now)
		if err != nil {
			return err
		}
		if !q.has[i] {
			missing = append(missing, i)
		}
	}
	return q.askUnknown(ctx, s, missing, now)
}

// askUnknown looks for the goods at these places among the unknown ones.
func (q *question) askUnknown(ctx context.Context, s *Store, places []int, now int64) error {
	if len(places) == 0 {
		return nil
	}
	members := make([]string, len(places))
	for i, place := range places {
		members[i] = q.goods[place]
	}
	till, err := s.client.ZMScore(ctx, s.unknownKey(), members...).Result()
	if err != nil && err != redis.Nil { //nolint:errorlint // the client's own sentinel, never wrapped
		return fmt.Errorf("read %d unknown goods from the cache: %w", len(places), err)
	}
	for i, place := range places {
		if i < len(till) && till[i]*1000 > float64(now) { // a missing member has score 0
			q.found[place] = unknown(q.goods[place], now, time.Duration(till[i]*1000-float64(now))*time.Microsecond)
			q.has[place] = true
		}
	}
	return nil
}
