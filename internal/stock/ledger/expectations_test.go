package ledger

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/stock"
)

func oneOf(goods string) []stock.Request {
	return []stock.Request{{Order: "1", Action: stock.Deduct, Lines: []stock.Line{{Goods: goods, Num: 1}}}}
}

func bookOf(goods string, available, version int64) *stock.Book {
	return &stock.Book{Levels: map[string]int64{goods: available}, Versions: map[string]int64{goods: version}}
}

// decided is a writer that has one order of goods decided at a level it has locked.
func (e *expectations) decided(goods string, available, version int64) *writer {
	w := e.lockFirst([]string{goods})
	w.decideLocked(bookOf(goods, available, version), oneOf(goods), time.Time{})
	return w
}

// looker is a writer that is looking.
func (e *expectations) looker(t *testing.T, goods ...string) *writer {
	t.Helper()
	w, wait := e.tryJoin(goods, true)
	if wait != nil || !w.ahead {
		t.Fatalf("%q is not looked at", goods)
	}
	return w
}

// expects decides one order of goods after the level in the database was read, and returns
// what it was.
func (w *writer) expects(goods string, available, version int64) int64 {
	_, _, levels := w.decideAhead(bookOf(goods, available, version), oneOf(goods), time.Time{})
	return levels[goods]
}

// wantLocker joins as one that locks first.
func (e *expectations) wantLocker(t *testing.T, why string, goods ...string) {
	t.Helper()
	w, wait := e.tryJoin(goods, true)
	if wait != nil || w.ahead {
		t.Fatalf("%q is ahead: %s", goods, why)
	}
	w.end(false)
}

func TestExpectations(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T, *expectations){
		"a batch is ahead only beside somebody in flight": func(t *testing.T, e *expectations) {
			e.wantLocker(t, "nobody was ever in flight", "a")
			w := e.decided("a", 9, 1)
			e.wantLocker(t, "nobody in flight changes it", "b")
			w.end(true)
			e.wantLocker(t, "the writer has ended", "a")
		},
		"levels are those of the last in flight": func(t *testing.T, e *expectations) {
			e.decided("a", 9, 1)
			e.looker(t, "a").expects("a", 9, 1)
			w := e.looker(t, "a")
			if level := w.expects("a", 9, 1); level != 7 || len(w.after) != 1 {
				t.Errorf("%d is expected after %d writers, want 7 after 1", level, len(w.after))
			}
		},
		"what the database knows better is taken from there": func(t *testing.T, e *expectations) {
			e.decided("a", 9, 1)
			w := e.looker(t, "a")
			if level := w.expects("a", 100, 5); level != 100 || len(w.after) != 0 {
				t.Errorf("%d is expected after %d writers, want 100 after none", level, len(w.after))
			}
		},
		"a reading may be older than a commit": func(t *testing.T, e *expectations) {
			before := e.decided("a", 9, 1)
			w := e.looker(t, "a")
			before.end(true)
			next := e.looker(t, "a") // beside the one that looks, which may change it
			if level := w.expects("a", 9, 1); level != 8 {
				t.Errorf("%d is expected, want 8", level)
			}
			if level := next.expects("a", 8, 2); level != 7 {
				t.Errorf("then %d is expected, want 7", level)
			}
		},
		"what failed is not expected": func(t *testing.T, e *expectations) {
			failed := e.decided("a", 9, 1)
			e.decided("b", 9, 1)
			w := e.looker(t, "a", "b")
			failed.end(false)
			if level := w.expects("a", 9, 1); level != 9 {
				t.Errorf("%d is expected, want 9", level)
			}
		},
		"nothing is kept": func(t *testing.T, e *expectations) {
			for i := range 1000 {
				goods := strconv.Itoa(i)
				first := e.decided(goods, 9, 1)
				second := e.looker(t, goods)
				second.expects(goods, 9, 1)
				gaveUp := e.looker(t, goods)
				third := e.lockFirst([]string{goods})
				first.end(true)
				second.end(i%2 == 0)
				third.end(false)
				third.end(false)
				gaveUp.end(false)
			}
			if len(e.levels)+len(e.undecided)+len(e.ended)+len(e.looks) != 0 {
				t.Errorf("%d levels, %d undecided, %d ended and %d looks are left", len(e.levels), len(e.undecided), len(e.ended), len(e.looks))
			}
		},
		"nothing is kept though somebody always looks": func(t *testing.T, e *expectations) {
			busy := e.decided("busy", 9, 1)
			last := e.looker(t, "busy")
			for i := range 1000 {
				w := e.decided(strconv.Itoa(i), 9, 1)
				next := e.looker(t, "busy")
				last.end(false)
				last = next
				w.end(true)
			}
			busy.end(true)
			if len(e.levels) > 2 || len(e.ended) > 2 {
				t.Errorf("%d levels and %d ended are left", len(e.levels), len(e.ended))
			}
		},
		"wrong expectations are given up for longer and longer": func(t *testing.T, e *expectations) {
			e.decided("a", 9, 1)
			for _, want := range []int{1, 3, 7, 15, 31, 63, 64, 64} {
				e.learn(false)
				e.wantRefusals(t, want)
			}
			e.learn(true)
			e.learn(false)
			e.wantRefusals(t, 64)
			for range 10 {
				e.learn(true)
			}
			e.learn(false)
			e.wantRefusals(t, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, new(expectations))
		})
	}
}

// wantRefusals counts how many in a row are not ahead.
func (e *expectations) wantRefusals(t *testing.T, want int) {
	t.Helper()
	for n := range 2 * mostSetback {
		w, _ := e.tryJoin([]string{"a"}, true)
		w.end(false)
		if w.ahead {
			if n != want {
				t.Errorf("%d were refused, want %d", n, want)
			}
			return
		}
	}
	t.Fatal("all are refused for ever")
}

// TestWritersInARowAreNotKept: each comes after the one before, so that whoever keeps
// more of it than its turn keeps all there ever were.
func TestWritersInARowAreNotKept(t *testing.T) {
	t.Parallel()
	e := new(expectations)
	var freed atomic.Int64
	last := e.decided("a", 1000, 1)
	const writers = 500
	for i := range writers {
		next := e.looker(t, "a")
		next.expects("a", 1000-int64(i), int64(i)+1)
		runtime.AddCleanup(next, func(struct{}) { freed.Add(1) }, struct{}{})
		last.end(true)
		last = next
	}
	for late := time.After(time.Minute); freed.Load() < writers*9/10; runtime.GC() {
		select {
		case <-late:
			t.Fatalf("%d of %d writers are freed", freed.Load(), writers)
		default:
		}
	}
	runtime.KeepAlive(e)
	runtime.KeepAlive(last)
}

// TestWaiting: what a batch waits for, and what ends it.
func TestWaiting(t *testing.T) {
	t.Parallel()
	const patience = time.Second
	join := func(ctx context.Context, e *expectations) string {
		switch w, err := e.join(ctx, []string{"a"}, patience); {
		case err != nil:
			return err.Error()
		case w.ahead:
			return "ahead"
		}
		return "locks first"
	}
	await := func(ctx context.Context, e *expectations) string {
		w, _ := e.tryJoin([]string{"a"}, false)
		w.expects("a", 9, 1)
		out, err := w.await(ctx, patience)
		if err != nil {
			return err.Error()
		}
		return map[outcome]string{inTurn: "in turn", outOfTurn: "out of turn", outOfPatience: "out of patience"}[out]
	}
	decide := func(w *writer) { w.decideLocked(bookOf("a", 9, 1), oneOf("a"), time.Time{}) }
	for name, c := range map[string]struct {
		wait func(context.Context, *expectations) string
		then func(before *writer, cancel context.CancelFunc)
		want string
	}{
		"for a decision, until it is made":         {join, func(w *writer, _ context.CancelFunc) { decide(w) }, "ahead"},
		"for a decision, until there will be none": {join, func(w *writer, _ context.CancelFunc) { w.end(false) }, "locks first"},
		"for a decision, not for ever":             {join, func(*writer, context.CancelFunc) { time.Sleep(patience) }, "locks first"},
		"for a decision, until told to stop":       {join, func(_ *writer, cancel context.CancelFunc) { cancel() }, context.Canceled.Error()},
		"for locks, until they are there":          {await, func(w *writer, _ context.CancelFunc) { w.gotLevels() }, "in turn"},
		"for locks, until all is over":             {await, func(w *writer, _ context.CancelFunc) { w.end(true) }, "in turn"},
		"for locks, until it has failed":           {await, func(w *writer, _ context.CancelFunc) { w.end(false) }, "out of turn"},
		"for locks, not for ever":                  {await, func(*writer, context.CancelFunc) { time.Sleep(patience) }, "out of patience"},
		"for locks, until told to stop":            {await, func(_ *writer, cancel context.CancelFunc) { cancel() }, context.Canceled.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				e := new(expectations)
				before := e.lockFirst([]string{"a"})
				if strings.HasPrefix(name, "for locks") {
					decide(before)
					before = e.looker(t, "a")
					before.expects("a", 9, 1)
				}
				done := make(chan string, 1)
				go func() { done <- c.wait(ctx, e) }()
				synctest.Wait()
				select {
				case got := <-done:
					t.Fatalf("did not wait: %s", got)
				default:
				}
				c.then(before, cancel)
				if got := <-done; got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

// TestTheImpatientLockFirst: whoever does not wait for a decision locks first, though
// others are in flight.
func TestTheImpatientLockFirst(t *testing.T) {
	t.Parallel()
	e := new(expectations)
	e.decided("b", 9, 1)
	undecided := e.lockFirst([]string{"a"})
	if w, wait := e.tryJoin([]string{"b", "a"}, false); wait != nil || w.ahead {
		t.Error("does not lock first")
	}
	undecided.end(false)
}

func TestSameLevels(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		other *stock.Book
		want  bool
	}{
		"the same":        {bookOf("a", 9, 2), true},
		"another level":   {bookOf("a", 8, 2), false},
		"another version": {bookOf("a", 9, 3), false},
		"other goods":     {bookOf("b", 9, 2), false},
		"none":            {new(stock.Book), false},
	} {
		if got := sameLevels(bookOf("a", 9, 2), c.other); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}
