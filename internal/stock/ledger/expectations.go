package ledger

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"orderconsumer/internal/stock"
)

// mostSetback bounds how many batches in a row are not written ahead because those
// before found other levels than they expected.
const mostSetback = 64

// expectations knows which levels the transactions in flight will leave behind when they
// commit. The next one is decided from them, and writes its orders and movements
// before it has the levels locked ([Ledger.applyAhead]).
//
// They may come to nothing: a transaction may fail, and other instances change levels, too;
// and where transactions have some goods in common and not all, the one that ends first may take
// along what is known of another. So everyone locks the levels before it commits and compares.
// A wrong expectation costs a rollback, never an order.
type expectations struct {
	mu     sync.Mutex
	levels map[string]expected
	// undecided are those who will lock the levels before they decide, by goods.
	undecided map[string]*writer
	// looks are those at the levels in the database that are going on, oldest first, and
	// lastLook is the newest there was. What a writer has left stays until those are over
	// that had begun before it ended: their readings may be older than its commit.
	looks    []uint64
	lastLook uint64
	ended    []*writer // in that order
	// refusals are still to be given; the next wrong expectation causes more than setback.
	refusals, setback int
}

// expected is the level of one goods once its writer has committed.
type expected struct {
	available, version int64
	by                 *writer
}

// writer is a transaction in flight. Its methods are called by one goroutine.
type writer struct {
	expectations *expectations
	// ahead: it is decided from what is expected, otherwise from levels that are locked.
	ahead   bool
	needs   []string // the goods whose levels it is decided from
	changes []string // those it changes, once it is decided
	after   []*turn  // those whose levels it was decided from
	turn    *turn
	decided chan struct{} // closed when it is decided or has ended; nil for one that is ahead

	look      uint64 // 0 when it is not looking (any more)
	endedWith uint64 // the newest look when it ended
}

// turn is what those that come after a writer wait for. It is all that they keep of it.
type turn struct {
	once   sync.Once
	over   chan struct{} // closed when the writer has its levels locked, as expected, or has failed
	failed bool          // set before
	undone atomic.Bool   // the writer has ended and has not committed for certain, whether or not it had its levels
}

func (t *turn) end(failed bool) {
	t.once.Do(func() {
		t.failed = failed
		close(t.over)
	})
}

// join makes a batch that needs the levels of goods a writer. It is ahead if somebody
// in flight changes some of them, so that waiting for their locks would be idle. The writer
// is to be ended, whatever happens.
//
// Whoever has goods in common with one that is undecided waits for its decision, not longer
// than patience: he would wait for it in the database, too, and behind it nobody could tell
// what to expect.
func (e *expectations) join(ctx context.Context, goods []string, patience time.Duration) (*writer, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for patient := true; ; {
		w, wait := e.tryJoin(goods, patient)
		if w != nil {
			return w, nil
		}
		select {
		case <-wait:
		case <-timer.C:
			patient = false
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tryJoin is join, or returns what to wait for.
func (e *expectations) tryJoin(goods []string, patient bool) (*writer, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var before *writer
	ahead := false
	for _, g := range goods {
		if before = e.undecided[g]; before != nil {
			break
		}
		_, expected := e.levels[g]
		ahead = ahead || expected
	}
	switch {
	case e.refusals > 0 && (ahead || before != nil):
		e.refusals--
	case before != nil && patient:
		return nil, before.decided
	case before == nil && ahead:
		return e.newLooker(goods), nil
	}
	return e.newLocker(goods), nil
}

// lockFirst is join for a batch that is not to be ahead.
func (e *expectations) lockFirst(goods []string) *writer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.newLocker(goods)
}

func (e *expectations) newLocker(goods []string) *writer {
	w := e.newWriter(goods)
	w.decided = make(chan struct{})
	if e.undecided == nil {
		e.undecided = make(map[string]*writer)
	}
	for _, g := range goods {
		e.undecided[g] = w
	}
	return w
}

func (e *expectations) newLooker(goods []string) *writer {
	w := e.newWriter(goods)
	w.ahead = true
	e.lastLook++
	w.look = e.lastLook
	e.looks = append(e.looks, w.look)
	return w
}

func (e *expectations) newWriter(goods []string) *writer {
	return &writer{expectations: e, needs: goods, turn: &turn{over: make(chan struct{})}}
}

// decideAhead brings the book, in which levels are as they were read, up to what is expected,
// and decides. From then on w comes after all those whose levels it was decided from; the
// levels returned are what they have to be once they are locked.
//
// All of it happens at once: what two decide from the same levels, one of them decides in vain.
func (w *writer) decideAhead(book *stock.Book, reqs []stock.Request, now time.Time) (_ []stock.Decision, _ stock.Changes, levels map[string]int64) {
	e := w.expectations
	e.mu.Lock()
	defer e.mu.Unlock()
	for goods, version := range book.Versions {
		level, ok := e.levels[goods]
		if !ok || level.version <= version {
			continue
		}
		book.Levels[goods], book.Versions[goods] = level.available, level.version
		if !slices.Contains(w.after, level.by.turn) {
			w.after = append(w.after, level.by.turn)
		}
	}
	e.looked(w)
	levels = maps.Clone(book.Levels) // deciding changes the book
	decisions, changes := book.Decide(reqs, now)
	e.expect(w, changes.Levels)
	return decisions, changes, levels
}

// decideLocked decides from levels that are locked, as all of them do that are not ahead.
func (w *writer) decideLocked(book *stock.Book, reqs []stock.Request, now time.Time) ([]stock.Decision, stock.Changes) {
	decisions, changes := book.Decide(reqs, now)
	e := w.expectations
	e.mu.Lock()
	defer e.mu.Unlock()
	w.gotLevels()
	e.expect(w, changes.Levels)
	e.nowDecided(w)
	return decisions, changes
}

func (e *expectations) expect(w *writer, levels []stock.Level) {
	if e.levels == nil {
		e.levels = make(map[string]expected)
	}
	w.changes = make([]string, len(levels))
	for i, level := range levels {
		w.changes[i] = level.Goods
		e.levels[level.Goods] = expected{available: level.Available, version: level.Version, by: w}
	}
}

func (e *expectations) nowDecided(w *writer) {
	if w.decided == nil {
		return
	}
	for _, goods := range w.needs {
		if e.undecided[goods] == w {
			delete(e.undecided, goods)
		}
	}
	close(w.decided)
	w.decided = nil
}

func (e *expectations) looked(w *writer) {
	if i, looking := slices.BinarySearch(e.looks, w.look); looking {
		e.looks = slices.Delete(e.looks, i, i+1)
	}
}

// outcome of waiting for one's turn.
type outcome uint8

const (
	inTurn        outcome = iota
	outOfTurn             // one that comes before has failed
	outOfPatience         // one that comes before takes too long
)

// await waits until all those that w comes after have their levels locked: from
// then on the server keeps the turns.
func (w *writer) await(ctx context.Context, patience time.Duration) (outcome, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for _, before := range w.after {
		select {
		case <-before.over:
			if before.failed {
				return outOfTurn, nil
			}
		case <-timer.C:
			return outOfPatience, nil
		case <-ctx.Done():
			return outOfTurn, ctx.Err()
		}
	}
	return inTurn, nil
}

// letDown reports whether one that w was decided from is known to have failed since. Then
// levels that are not as expected say nothing about others who change the same goods. Who asks too early
// takes it for a wrong expectation, which costs time and no order.
func (w *writer) letDown() bool {
	return slices.ContainsFunc(w.after, func(before *turn) bool { return before.undone.Load() })
}

// gotLevels lets those that come after w go on: it has its levels locked.
func (w *writer) gotLevels() { w.turn.end(false) }

// end is called with whether w has committed for certain. One that will be rolled back ends
// before it is, so that nobody expects anything of it meanwhile; what is called after that
// changes nothing.
func (w *writer) end(committed bool) {
	if !committed {
		w.turn.undone.Store(true) // before others get its rows, unless the server or an ended context rolls back first
	}
	w.turn.end(!committed)
	e := w.expectations
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looked(w)
	e.nowDecided(w)
	w.endedWith = e.lastLook
	if committed {
		e.ended = append(e.ended, w)
	} else {
		e.drop(w)
	}
	e.forget()
}

// forget drops what is in the database for everyone who looks.
func (e *expectations) forget() {
	n := 0
	for ; n < len(e.ended) && (len(e.looks) == 0 || e.ended[n].endedWith < e.looks[0]); n++ {
		e.drop(e.ended[n])
	}
	e.ended = slices.Delete(e.ended, 0, n)
}

func (e *expectations) drop(w *writer) {
	for _, goods := range w.changes {
		if e.levels[goods].by == w {
			delete(e.levels, goods)
		}
	}
	w.changes = nil
}

// learn changes how often batches are ahead. Where others change the same goods at the
// same time, most expectations are wrong, and it is given up for longer and longer.
func (e *expectations) learn(right bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if right {
		e.setback /= 2
		return
	}
	e.setback = min(2*e.setback+1, mostSetback)
	e.refusals = e.setback
}
