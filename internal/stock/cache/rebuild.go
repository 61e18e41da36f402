package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	random "math/rand/v2"
	"sync"
	"time"

	"orderconsumer/internal/stock"
)

const (
	// batchMost is the most goods of one rebuild: one short statement of the
	// database, and what one request may ask for.
	batchMost = 200
	// readTimeout bounds one reading of the database. It is longer than anybody
	// waits for it: the next question finds its entry.
	readTimeout = 5 * time.Second
	// lockPatience is how long a rebuild waits for goods that another one has
	// locked: most rebuilds are long over by then.
	lockPatience = 100 * time.Millisecond
	// lockNext is how long it waits for each further one that turns out to be
	// locked.
	lockNext = 20 * time.Millisecond
)

// want is goods that somebody wants to have rebuilt.
type want struct {
	goods string
	seen  int64 // Entry.ReadAt of what the asker has; zero: nothing
	since time.Time
	done  chan struct{}

	entry Entry // these are set when done is closed
	err   error
}

// wait returns when the goods have been rebuilt, or why they have not.
func (w *want) wait(ctx context.Context, patience time.Duration) error {
	select { // without a timer for what is done already
	case <-w.done:
		return w.err
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.done:
		return w.err
	case <-timer.C:
		return fmt.Errorf("goods %q: no answer in time: %w", w.goods, stock.ErrOverloaded)
	case <-ctx.Done():
		return fmt.Errorf("look up goods %q: %w", w.goods, ctx.Err())
	}
}

// rebuilds reads the database for everybody, a bounded number of times at once,
// and for many goods each time.
type rebuilds struct {
	cache *Cache

	mu      sync.Mutex
	pending map[string]*want // by goods, until they are done
	queue   []*want          // those that no rebuild has taken yet
	running int
	closed  bool
	work    sync.WaitGroup
}

// want has the goods rebuilt, if nobody wants that already. It fails when too
// many others wait.
func (r *rebuilds) want(goods string, seen int64) (*want, error) {
	return r.add(goods, seen, maxWaiting)
}

// ahead has goods rebuilt that nobody waits for, while there is little else to
// do.
func (r *rebuilds) ahead(goods string, seen int64) {
	_, _ = r.add(goods, seen, batchMost) // the next question comes upon it again
}

func (r *rebuilds) add(goods string, seen int64, most int) (*want, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.pending[goods]; w != nil {
		return w, nil
	}
	if r.closed {
		return nil, context.Canceled
	}
	if len(r.queue) >= most {
		return nil, fmt.Errorf("%d goods wait already: %w", len(r.queue), stock.ErrOverloaded)
	}
	w := &want{goods: goods, seen: seen, since: time.Now(), done: make(chan struct{})}
	r.pending[goods] = w
	r.queue = append(r.queue, w)
	if r.running < r.cache.cfg.Rebuilds {
		r.running++
		r.work.Go(r.run)
	}
	return w, nil
}

// run rebuilds until nothing is wanted.
func (r *rebuilds) run() {
	for batch := r.take(); len(batch) > 0; batch = r.take() {
		r.rebuild(batch)
	}
}

// take returns what is rebuilt next; none ends the caller. What has waited for
// too long is refused: nobody is left who would read the answer, and behind it
// are those who still would.
func (r *rebuilds) take() []*want {
	r.mu.Lock()
	defer r.mu.Unlock()
	var batch []*want
	for len(batch) < batchMost && len(r.queue) > 0 {
		w := r.queue[0]
		r.queue = r.queue[1:]
		if time.Since(w.since) > r.cache.cfg.Patience {
			r.finishLocked(w, Entry{}, fmt.Errorf("goods %q waited for %s: %w", w.goods, r.cache.cfg.Patience, stock.ErrOverloaded))
			continue
		}
		batch = append(batch, w)
	}
	if len(batch) == 0 {
		r.running--
	}
	return batch
}

// finish answers a want.
func (r *rebuilds) finish(w *want, e Entry, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finishLocked(w, e, err)
}

func (r *rebuilds) finishLocked(w *want, e Entry, err error) {
	w.entry, w.err = e, err
	delete(r.pending, w.goods)
	close(w.done)
}

// close refuses what is wanted from now on and waits for what is under way,
// whose context has ended.
func (r *rebuilds) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.work.Wait()
}

// rebuild finds the entries of the batch: what others have rebuilt meanwhile in
// the store, the rest in the database.
func (r *rebuilds) rebuild(batch []*want) {
	ctx := r.cache.base
	if !r.cache.gate.answers() {
		r.read(ctx, batch, "", time.Now())
		return
	}
	began := time.Now()
	batch, unlock, err := r.lock(ctx, batch)
	if err != nil {
		r.read(ctx, batch, "", began)
		return
	}
	if len(batch) == 0 {
		return
	}
	defer unlock(context.WithoutCancel(ctx))
	token := rand.Text()
	found, err := r.cache.deps.Store.Begin(ctx, token, goodsOf(batch))
	if r.cache.gate.passed(ctx, false, err) != nil {
		r.read(ctx, batch, "", began)
		return
	}
	left := batch[:0]
	for _, w := range batch {
		if e, ok := found[w.goods]; ok && e.fresh() && e.ReadAt > w.seen {
			r.finish(w, e, nil)
		} else {
			left = append(left, w)
		}
	}
	if len(left) > 0 {
		r.read(ctx, left, token, began)
	}
}

// lock takes the lock on the goods of the batch. Those that others hold on to
// are put off; what is returned is locked. The error means that nothing is and
// nothing can be: the database is asked all the same, under this process's
// bound.
func (r *rebuilds) lock(ctx context.Context, batch []*want) ([]*want, func(context.Context), error) {
	for patience := lockPatience; len(batch) > 0; patience = lockNext {
		locking, cancel := context.WithTimeout(ctx, patience)
		unlock, err := r.cache.deps.Store.Lock(locking, goodsOf(batch))
		cancel()
		var taken *TakenError
		if !errors.As(err, &taken) {
			return batch, unlock, err
		}
		batch = r.putOff(batch, taken.Goods)
	}
	return nil, nil, nil
}

// putOff takes goods out of the batch and puts them at the end of the queue.
func (r *rebuilds) putOff(batch []*want, goods string) []*want {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := batch[:0]
	for _, w := range batch {
		if w.goods == goods {
			r.queue = append(r.queue, w)
		} else {
			left = append(left, w)
		}
	}
	return left
}

// read asks the database for the goods of the batch and, with a token, fills
// the answers in. What has been kept meanwhile and is newer is the answer then.
func (r *rebuilds) read(ctx context.Context, batch []*want, token string, began time.Time) {
	deps := &r.cache.deps
	asked := time.Now()
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	levels, err := deps.Source.Levels(reading, goodsOf(batch))
	cancel()
	deps.Observer.CacheRebuilt(len(batch), time.Since(asked), err)
	if err != nil {
		for _, w := range batch {
			r.finish(w, Entry{}, err)
		}
		return
	}
	entries := make([]Entry, len(batch))
	for i, w := range batch {
		level, known := levels[w.goods]
		level.Goods = w.goods
		entries[i] = Entry{
			Level: level, Unknown: !known, Age: time.Since(asked),
			Life: lifetime(r.cache.cfg.TTL, random.Float64()), Cost: time.Since(began),
		}
	}
	var newer map[string]Entry
	if token != "" {
		newer, err = deps.Store.Fill(ctx, token, entries)
		_ = r.cache.gate.passed(ctx, false, err) // the answers are there, kept or not
	}
	for i, w := range batch {
		e := entries[i]
		if n, ok := newer[w.goods]; ok {
			e = n
		}
		r.finish(w, e, nil)
	}
}

func goodsOf(batch []*want) []string {
	goods := make([]string, len(batch))
	for i, w := range batch {
		goods[i] = w.goods
	}
	return goods
}
