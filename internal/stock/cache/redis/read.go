package redis

import (
	"context"
	"errors"
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
	since time.Time // when the first of them came
	done  chan struct{}

	answered bool          // guarded by looks.mu
	found    []cache.Entry // by place in goods; these are set when done is closed without err
	has      []bool
	err      error
}

// looks has look-ups that come while others are under way wait for them and go
// together. Under light load each goes alone and at once; under heavy load a
// round trip carries dozens, and neither Redis nor this process spends most of
// its time on saying hello. One question is under way at a time: with two, each
// carries half as much, and an answer costs a fifth more processor time.
//
// A look-up takes two timeouts at the most: one until its question is asked, and
// one until that is answered. A question that takes longer goes on without anybody
// waiting for it: the connection that it is at is there for the next one.
type looks struct {
	store   *Store
	ctx     context.Context //nolint:containedctx // of questions, which outlive the look-ups that began them
	running sync.WaitGroup

	mu     sync.Mutex
	next   []*question // not under way yet; all but the last are full
	asking bool
	silent error // what is said to look-ups while a question takes longer than the timeout
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
		q = &question{done: make(chan struct{}), since: time.Now()}
		if l.silent != nil {
			l.answerLocked(q, l.silent)
			return q, 0
		}
		l.next = append(l.next, q)
	}
	first = len(q.goods)
	q.goods = append(q.goods, goods...)
	if !l.asking {
		l.asking = true
		l.running.Go(l.ask)
	}
	return q, first
}

// ask asks until there is nothing to ask.
func (l *looks) ask() {
	for {
		q := l.take()
		if q == nil {
			return
		}
		late := time.AfterFunc(l.store.cfg.Timeout, func() { l.late(q) })
		// Not even the timeout ends it: a connection that is slow to make would be
		// given up each time. Connecting, each write and each read have their own.
		err := q.ask(l.ctx, l.store)
		late.Stop()
		l.answer(q, err)
	}
}

// take returns the next question, or nil when there is none. One that has waited
// for a whole timeout already says that Redis, which may well answer each in
// time, does not keep up: it and those behind it fail.
func (l *looks) take() *question {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.next) > 0 && time.Since(l.next[0].since) >= l.store.cfg.Timeout {
		l.failLocked(fmt.Errorf("%d look-ups in the cache have waited for those before them: %w", len(l.next), errTimeout))
	}
	if len(l.next) == 0 {
		l.asking = false
		return nil
	}
	q := l.next[0]
	l.next = l.next[1:]
	return q
}

// errTimeout: Redis did not answer within Config.Timeout.
var errTimeout = errors.New("no answer within the timeout")

// late gives up a question that takes too long, and what would wait for it.
func (l *looks) late(q *question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.answered {
		return
	}
	l.silent = fmt.Errorf("read %d goods from the cache: %w of %s", len(q.goods), errTimeout, l.store.cfg.Timeout)
	l.answerLocked(q, l.silent)
	l.failLocked(l.silent)
}

// answer answers a question whose round trips are over, unless it was given up.
func (l *looks) answer(q *question, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = nil
	if !q.answered {
		l.answerLocked(q, err)
	}
	if err != nil {
		l.failLocked(err)
	}
}

// failLocked answers what waits with the failure of the question before it: the
// next one would wait for the same silence.
func (l *looks) failLocked(err error) {
	for _, q := range l.next {
		l.answerLocked(q, err)
	}
	l.next = nil
}

func (l *looks) answerLocked(q *question, err error) {
	q.err, q.answered = err, true
	close(q.done)
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
		q.found[i], q.has[i] = parse(q.goods[i], text, now)
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
