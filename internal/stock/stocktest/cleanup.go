package stocktest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"orderconsumer/internal/job"
	"orderconsumer/internal/stock"
)

// sold applies orders of every state and returns when the newest was decided.
func (w *jobWorld) sold(prefix string) time.Time {
	w.Helper()
	decisions := w.apply(
		deduct(prefix+"deducted", line("a", 1), line("b", 2)),
		deduct(prefix+"released", line("a", 3)),
		deduct(prefix+"rejected", line("a", 1_000_000)),
		release(prefix+"released"),
		release(prefix+"voided"),
	)
	return decisions[0].Record.DecidedAt
}

// cleanUp removes what is older than before.
func (w *jobWorld) cleanUp(before time.Time) stock.CleanedUp {
	w.Helper()
	run := w.begin(w.status().ScheduledAt.Add(time.Second), first)
	done, err := w.jobs.CleanUp(w.ctx(), run, stock.CleanUp{Before: before})
	w.must(err)
	w.must(w.jobs.Finish(w.ctx(), run, job.End{State: job.Done}))
	return done
}

func (w *jobWorld) cleaned(got, want stock.CleanedUp) {
	w.Helper()
	if got != want {
		w.Fatalf("cleaned up %+v, want %+v", got, want)
	}
}

func cleanedUp(w *jobWorld) {
	w.stocked(map[string]int64{"a": 100, "b": 100, "c": 5})
	old := w.sold("old-")
	// A millisecond later at least, on the clock that records them.
	cutoff, young := old, 0
	for ; !cutoff.After(old); young++ {
		cutoff = w.sold(fmt.Sprint("young-", young, "-"))
	}
	sold := int64(1 + young)
	levels := map[string]int64{"a": 100 - sold, "b": 100 - 2*sold, "c": 5}
	w.levels(levels)

	// Rows decided in the same millisecond as the old ones are old too.
	got := w.cleanUp(cutoff)
	gone := int64(young) // every round but the last
	w.cleaned(got, stock.CleanedUp{Looked: 4 * sold, Orders: 4 * gone, Movements: 4 * gone})
	w.levels(levels)
	w.moved(stock.CarriedRef, fmt.Sprintf("a carry %+d %d", -gone, -gone), fmt.Sprintf("b carry %+d %d", -2*gone, -2*gone))
	w.moved("old-deducted")
	if _, err := w.ledger.Lookup(w.ctx(), "old-deducted"); !errors.Is(err, stock.ErrNotFound) {
		w.Errorf("an order that was removed: %v", err)
	}
	w.audit()

	// What is left goes the next time, on top of what was carried.
	w.cleaned(w.cleanUp(cutoff.Add(time.Hour)), stock.CleanedUp{Looked: 4, Orders: 4, Movements: 4})
	w.moved(stock.CarriedRef, fmt.Sprintf("a carry %+d %d", -sold, -sold), fmt.Sprintf("b carry %+d %d", -2*sold, -2*sold))
	w.levels(levels)
	if s := w.audit(); s.Orders != 0 || s.Movements != 3+2 {
		w.Errorf("left are %+v", s)
	}
	w.verdicts(w.apply(deduct("old-deducted", line("a", 1), line("b", 2))), "applied deducted")
}

func ownMovements(w *jobWorld) {
	w.stocked(map[string]int64{"a": 10})
	// An order by the name of a restock: its movement is not the order's.
	w.apply(deduct("stocked-1", line("a", 1)))
	w.cleaned(w.cleanUp(time.Now().Add(time.Hour)), stock.CleanedUp{Looked: 1, Orders: 1, Movements: 1})
	w.moved("stocked-1", "a correct +10 10")
	// An order by the name of the movement that carries.
	w.apply(deduct(stock.CarriedRef, line("a", 2)))
	w.cleaned(w.cleanUp(time.Now().Add(time.Hour)), stock.CleanedUp{Looked: 1, Orders: 1, Movements: 1})
	w.moved(stock.CarriedRef, "a carry -3 -3")
	w.levels(map[string]int64{"a": 7})
}

func cleanUpFenced(w *jobWorld) {
	w.stocked(map[string]int64{"a": 100, "b": 100})
	w.sold("")
	old := w.begin(tomorrow(), first)
	w.takeOver(second)
	done, err := w.jobs.CleanUp(w.ctx(), old, stock.CleanUp{Before: time.Now().Add(time.Hour)})
	w.refused(err, job.ErrFenced)
	w.cleaned(done, stock.CleanedUp{})
	w.moved(stock.CarriedRef)
	w.moved("deducted", "a deduct -1 99", "b deduct -2 98")
}

// cancelledMeanwhile: an order is either given back or removed, whichever comes
// first; in no order of the two is a level changed without a movement.
func cancelledMeanwhile(w *jobWorld) {
	const orders = 300
	w.stocked(map[string]int64{"a": orders})
	var requests, cancels []stock.Request
	for i := range orders {
		requests = append(requests, deduct(fmt.Sprintf("%03d", i), line("a", 1)))
		cancels = append(cancels, release(fmt.Sprintf("%03d", orders-1-i))) // from the other end
	}
	w.apply(requests...)
	var both sync.WaitGroup
	both.Go(func() {
		for _, c := range cancels {
			if _, err := insist(w.ctx(), w.ledger, []stock.Request{c}); err != nil {
				w.Error(err)
			}
		}
	})
	before := time.Now().Add(time.Hour)
	var done stock.CleanedUp
	both.Go(func() { done = w.cleanUp(before) })
	both.Wait()
	w.audit()
	level, err := w.ledger.Get(w.ctx(), "a")
	w.must(err)
	w.Logf("%+v, %d left", done, level.Available)
	w.cleanUp(before)
	w.levels(map[string]int64{"a": level.Available})
}
