package ledger_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/stocktest"
)

// passage is the nth passing of a point; the first is 1.
type passage struct {
	point crash.Point
	n     int
}

// stops holds transactions of a ledger where a test wants them.
type stops struct {
	mu     sync.Mutex
	passed map[crash.Point]int
	at     map[passage]*stop
	ahead  map[ledger.Ahead]int
	first  ledger.Ahead // how it went with the first that was ahead
}

type stop struct{ reached, open chan struct{} }

func newStops(l *ledger.Ledger, at ...passage) *stops {
	s := &stops{passed: make(map[crash.Point]int), at: make(map[passage]*stop), ahead: make(map[ledger.Ahead]int)}
	for _, p := range at {
		s.at[p] = &stop{reached: make(chan struct{}), open: make(chan struct{})}
	}
	l.CrashAt(s.pass)
	l.OnAhead(func(how ledger.Ahead) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ahead[how]++
		if s.first == "" {
			s.first = how
		}
	})
	return s
}

func (s *stops) pass(p crash.Point) {
	s.mu.Lock()
	s.passed[p]++
	here := s.at[passage{p, s.passed[p]}]
	s.mu.Unlock()
	if here != nil {
		close(here.reached)
		<-here.open
	}
}

// reach waits until a transaction is held there.
func (s *stops) reach(t *testing.T, p passage, other <-chan answer) {
	t.Helper()
	select {
	case <-s.at[p].reached:
	case got := <-other:
		t.Fatalf("ended before %s was passed %d times: %v", p.point, p.n, got.err)
	}
}

func (s *stops) release(p passage) { close(s.at[p].open) }

// want holds how many transactions were begun, each of which passes InTx once, and what was
// expected against what should have been.
func (s *stops) want(t *testing.T, transactions int, ahead ...ledger.Ahead) {
	t.Helper()
	want := make(map[ledger.Ahead]int)
	for _, how := range ahead {
		want[how]++
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.passed[crash.InTx]; n != transactions || !maps.Equal(s.ahead, want) {
		t.Errorf("%d transactions, ahead %v; want %d and %v", n, s.ahead, transactions, want)
	}
}

// answer is what came of an Apply in the background.
type answer struct {
	decisions []stock.Decision
	err       error
}

func applyBeside(ctx context.Context, l *ledger.Ledger, reqs []stock.Request) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		decisions, err := l.Apply(ctx, reqs)
		done <- answer{decisions, err}
	}()
	return done
}

// The first transaction is held with everything written, or at its beginning; the second where it
// has written its orders.
var (
	firstWritten = passage{crash.BeforeCommit, 1}
	firstBegun   = passage{crash.InTx, 1}
	secondBegun  = passage{crash.InTx, 2}
	thirdBegun   = passage{crash.InTx, 3}
)

// TestABatchIsWrittenBesideTheOneBefore: the second and the third batch have written their
// orders while the first one, of the same goods, has not committed; they are decided from
// what those before leave behind.
func TestABatchIsWrittenBesideTheOneBefore(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		l.SetPatience(time.Minute)
		stocked(t, l, 3, "a", "b")
		s := newStops(l, firstWritten, secondBegun, thirdBegun)
		one := applyBeside(t.Context(), l, deduct("1", line("a", 2)))
		s.reach(t, firstWritten, one)
		two := applyBeside(t.Context(), l, append(deduct("2", line("a", 2)), deduct("3", line("a", 1), line("b", 1))...))
		s.reach(t, secondBegun, two)
		three := applyBeside(t.Context(), l, append(deduct("4", line("a", 1)), deduct("5", line("b", 2))...))
		s.reach(t, thirdBegun, three)
		s.release(thirdBegun) // it waits until the second has its levels locked
		s.release(secondBegun)
		s.release(firstWritten)
		wantStates(t, <-one, stock.Deducted)
		wantStates(t, <-two, stock.Rejected, stock.Deducted)
		wantStates(t, <-three, stock.Rejected, stock.Deducted)
		wantLevel(t, l, "a", 0)
		wantLevel(t, l, "b", 0)
		s.want(t, 3, ledger.AheadRight, ledger.AheadRight)
	})
}

// TestAReleaseIsWrittenAhead: a cancel gives back what an order before took, and the next
// batch expects it to be there.
func TestAReleaseIsWrittenAhead(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		stocked(t, l, 2, "a")
		wantVerdict(t, l, deduct("1", line("a", 1)), stock.Applied)
		s := newStops(l, firstWritten, secondBegun)
		one := applyBeside(t.Context(), l, deduct("2", line("a", 1)))
		s.reach(t, firstWritten, one)
		two := applyBeside(t.Context(), l, append(
			[]stock.Request{{Order: "1", Action: stock.Release, Attempt: 1}}, deduct("3", line("a", 1))...))
		s.reach(t, secondBegun, two)
		s.release(firstWritten)
		s.release(secondBegun)
		wantStates(t, <-one, stock.Deducted)
		wantStates(t, <-two, stock.Released, stock.Deducted)
		wantLevel(t, l, "a", 0)
		wantVerdict(t, l, []stock.Request{{Order: "1", Action: stock.Release, Attempt: 1}}, stock.Known)
		s.want(t, 3, ledger.AheadRight)
	})
}

// TestAnOrderThatTwoInstancesHaveAtOnce: one has inserted it ahead, and waits for the levels;
// the other has locked the levels, and waits to insert it. The server ends one of them.
func TestAnOrderThatTwoInstancesHaveAtOnce(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		stocked(t, l, 9, "a", "b")
		s := newStops(l, firstWritten, secondBegun)
		one := applyBeside(t.Context(), l, deduct("1", line("a", 1)))
		s.reach(t, firstWritten, one)
		both := deduct("2", line("b", 1))
		here := append(deduct("3", line("a", 1)), both...)
		two := applyBeside(t.Context(), l, here)
		s.reach(t, secondBegun, two)
		elsewhere, g := openGated(t, url) // held with its levels locked
		there := applyBeside(t.Context(), elsewhere, both)
		select {
		case <-g.reached:
		case got := <-there:
			t.Fatalf("the other instance knows the order before it is committed: %v", got.err)
		}
		s.release(firstWritten)
		s.release(secondBegun)
		close(g.open)
		wantStates(t, <-one, stock.Deducted)
		wantStates(t, insist(t, l, here, <-two), stock.Deducted, stock.Deducted)
		wantStates(t, insist(t, elsewhere, both, <-there), stock.Deducted)
		wantLevel(t, l, "a", 7)
		wantLevel(t, l, "b", 8)
	})
}

// TestABatchWaitsForOneThatHasYetToDecide: the first batch waits for its levels, which somebody
// else has locked. The second, of the same goods, does not queue behind it in the database:
// it waits for the decision, and is ahead.
func TestABatchWaitsForOneThatHasYetToDecide(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		l.SetPatience(time.Minute)
		stocked(t, l, 9, "a", "b")
		side := stocktest.Admin(t, url)
		tx, err := side.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "UPDATE stock SET updated_at=updated_at WHERE goods_id='a'"); err != nil {
			t.Fatal(err)
		}
		s := newStops(l, firstWritten, secondBegun)
		one := applyBeside(t.Context(), l, deduct("1", line("a", 1)))
		l.AwaitUndecided(t.Context(), "a")
		two := applyBeside(t.Context(), l, deduct("2", line("a", 1), line("b", 1)))
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		s.reach(t, secondBegun, two) // by either of them: once it is decided they go side by side
		s.release(secondBegun)
		s.reach(t, firstWritten, one)
		s.release(firstWritten)
		wantStates(t, <-one, stock.Deducted)
		wantStates(t, <-two, stock.Deducted)
		s.want(t, 2, ledger.AheadRight)
	})
}

// TestABatchWhoseLevelsAreHeldForTooLong: it was written ahead, and ends as one that was not:
// busy. What is written in vain is not written again at once.
func TestABatchWhoseLevelsAreHeldForTooLong(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url+"?lockWait=1s")
		stocked(t, l, 9, "a")
		s := newStops(l, firstWritten)
		one := applyBeside(t.Context(), l, deduct("1", line("a", 1)))
		s.reach(t, firstWritten, one)
		for range 2 { // the second time it locks first
			if _, err := l.Apply(t.Context(), deduct("2", line("a", 1))); !errors.Is(err, stock.ErrBusy) {
				t.Errorf("apply while a is held: %v, want ErrBusy", err)
			}
		}
		s.want(t, 2, ledger.AheadLate)
		s.release(firstWritten)
		wantStates(t, <-one, stock.Deducted)
		wantVerdict(t, l, deduct("2", line("a", 1)), stock.Applied)
		wantLevel(t, l, "a", 7)
	})
}

// insist runs a batch again for as long as somebody is in the way.
func insist(t *testing.T, l *ledger.Ledger, reqs []stock.Request, got answer) answer {
	t.Helper()
	for errors.Is(got.err, stock.ErrBusy) {
		got = <-applyBeside(t.Context(), l, reqs)
	}
	return got
}

// TestABatchIsDecidedAgainWhenTheOneBeforeFails: the first batch takes the last
// piece, the second is refused for that and written, and then the first one is rolled
// back: the piece is there.
func TestABatchIsDecidedAgainWhenTheOneBeforeFails(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		stocked(t, l, 1, "a")
		s := newStops(l, firstBegun, secondBegun)
		ctx, cancel := context.WithCancel(t.Context())
		one := applyBeside(ctx, l, deduct("1", line("a", 1)))
		s.reach(t, firstBegun, one)
		two := applyBeside(t.Context(), l, deduct("2", line("a", 1)))
		s.reach(t, secondBegun, two)
		cancel()
		s.release(firstBegun)
		if got := <-one; !errors.Is(got.err, context.Canceled) {
			t.Errorf("first batch: %v, want it cancelled", got.err)
		}
		s.release(secondBegun)
		wantStates(t, <-two, stock.Deducted)
		wantLevel(t, l, "a", 0)
		s.want(t, 3, ledger.AheadLate)
	})
}

// TestABatchThatHasNoTimeLeftIsNotDecidedAgain: the one before fails when more than half of the time of
// the second is over, which has then taken longer than is left.
func TestABatchThatHasNoTimeLeftIsNotDecidedAgain(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		const patience = 6 * time.Second
		l := openMigrated(t, url)
		l.SetPatience(time.Minute)
		stocked(t, l, 9, "a")
		s := newStops(l, firstBegun, secondBegun)
		first, cancel := context.WithCancel(t.Context())
		one := applyBeside(first, l, deduct("1", line("a", 1)))
		s.reach(t, firstBegun, one)
		second, end := context.WithTimeout(t.Context(), patience)
		defer end()
		late, endLate := context.WithTimeout(t.Context(), patience*11/20)
		defer endLate()
		two := applyBeside(second, l, deduct("2", line("a", 1)))
		s.reach(t, secondBegun, two)
		<-late.Done()
		cancel()
		s.release(firstBegun)
		<-one
		s.release(secondBegun)
		if got := <-two; !errors.Is(got.err, stock.ErrBusy) {
			t.Errorf("second batch: %v, want ErrBusy", got.err)
		}
		s.want(t, 2, ledger.AheadLate)
		wantLevel(t, l, "a", 9)
	})
}

// TestABatchIsDecidedAgainWhenLevelsHaveChanged: between the decision of the second
// batch and its locks somebody else changes a level, or makes it.
func TestABatchIsDecidedAgainWhenLevelsHaveChanged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, elsewhere *ledger.Ledger, url string)
		want   []stock.State
		left   int64
	}{
		"another instance was faster": {func(t *testing.T, elsewhere *ledger.Ledger, _ string) {
			wantVerdict(t, elsewhere, deduct("3", line("a", 2)), stock.Applied)
		}, []stock.State{stock.Rejected, ""}, 0},
		"changed and changed back": {func(t *testing.T, elsewhere *ledger.Ledger, _ string) {
			wantVerdict(t, elsewhere, deduct("3", line("a", 2)), stock.Applied)
			wantVerdict(t, elsewhere, []stock.Request{{Order: "3", Action: stock.Release, Attempt: 1}}, stock.Applied)
		}, []stock.State{stock.Deducted, ""}, 1},
		"new in the catalogue": {func(t *testing.T, elsewhere *ledger.Ledger, _ string) {
			stocked(t, elsewhere, 5, "late")
		}, []stock.State{stock.Deducted, stock.Deducted}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onServers(t, func(t *testing.T, url string) {
				l, elsewhere := openMigrated(t, url), open(t, url)
				stocked(t, l, 3, "a")
				s := newStops(l, firstWritten, secondBegun)
				one := applyBeside(t.Context(), l, deduct("1", line("a", 1)))
				s.reach(t, firstWritten, one)
				two := applyBeside(t.Context(), l, append(deduct("2", line("a", 1)), deduct("4", line("late", 1))...))
				s.reach(t, secondBegun, two)
				s.release(firstWritten)
				wantStates(t, <-one, stock.Deducted)
				c.change(t, elsewhere, url)
				s.release(secondBegun)
				wantStates(t, <-two, c.want...)
				wantLevel(t, l, "a", c.left)
				s.want(t, 3, ledger.AheadWrong)
			})
		})
	}
}

// TestALevelThatWasChangedByHandIsSeen: by hand, that is without its version.
func TestALevelThatWasChangedByHandIsSeen(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		stocked(t, l, 3, "a")
		s := newStops(l, firstWritten, secondBegun)
		one := applyBeside(t.Context(), l, deduct("1", line("a", 1)))
		s.reach(t, firstWritten, one)
		two := applyBeside(t.Context(), l, deduct("2", line("a", 1)))
		s.reach(t, secondBegun, two)
		s.release(firstWritten)
		wantStates(t, <-one, stock.Deducted)
		if _, err := stocktest.Admin(t, url).ExecContext(t.Context(), "UPDATE stock SET available=0 WHERE goods_id='a'"); err != nil {
			t.Fatal(err)
		}
		s.release(secondBegun)
		wantStates(t, <-two, stock.Rejected)
		s.want(t, 3, ledger.AheadWrong)
	})
}

func wantStates(t *testing.T, got answer, want ...stock.State) {
	t.Helper()
	if got.err != nil {
		t.Fatal(got.err)
	}
	states := make([]stock.State, len(got.decisions))
	for i := range states {
		states[i] = got.decisions[i].Record.State
	}
	if !slices.Equal(states, want) {
		t.Errorf("came to %q, want %q", states, want)
	}
}
