package stocktest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"orderconsumer/internal/stock"
)

// inFlight is how many transactions a test has going at once: more than a
// program would.
const inFlight = 16

// oversell lets everybody want the same few goods at once, in every order of
// lines, and counts what was sold.
func oversell(t *testing.T, w *world) {
	const batches, perBatch, available = 4, 10, 200
	goods := []string{"a", "b", "c", "d", "e"}
	for _, g := range goods {
		w.stocked(map[string]int64{g: available})
	}
	sold := make([]map[string]int64, inFlight)
	var wg sync.WaitGroup
	for worker := range inFlight {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(worker)))
			sold[worker] = make(map[string]int64)
			for batch := range batches {
				reqs := make([]stock.Request, perBatch)
				for i := range reqs {
					var lines []stock.Line
					for _, g := range rng.Perm(len(goods))[:1+rng.IntN(3)] {
						lines = append(lines, line(goods[g], 1+rng.Int64N(3)))
					}
					sortLines(lines)
					reqs[i] = deduct(fmt.Sprintf("%d-%d-%d", worker, batch, i), lines...)
				}
				decisions, err := insist(w.ctx(), w.ledger, reqs)
				if err != nil {
					t.Errorf("worker %d: %v", worker, err)
					return
				}
				for _, d := range decisions {
					for _, l := range d.Record.Lines {
						if d.Record.State == stock.Deducted {
							sold[worker][l.Goods] += l.Num
						}
					}
				}
			}
		})
	}
	wg.Wait()
	left := make(map[string]int64)
	for _, g := range goods {
		left[g] = available
		for _, mine := range sold {
			left[g] -= mine[g]
		}
	}
	w.levels(left)
	summary := w.audit()
	if summary.Orders != inFlight*batches*perBatch {
		w.Errorf("%d orders recorded, want %d", summary.Orders, inFlight*batches*perBatch)
	}
	if summary.ByState[stock.Rejected] == 0 || slices.Min(slices.Collect(maps.Values(left))) > 3 {
		w.Errorf("nothing ran out: %v left, %v", left, summary.ByState)
	}
}

// atOnce applies the same requests from many sides and returns how many found
// them applied by themselves.
func atOnce(t *testing.T, w *world, reqs ...stock.Request) (applied int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			decisions, err := insist(w.ctx(), w.ledger, reqs)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, d := range decisions {
				if d.Verdict == stock.Applied {
					applied++
				}
			}
		})
	}
	wg.Wait()
	return applied
}

func sameOrderAtOnce(t *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 100, "b": 0})
	reqs := []stock.Request{deduct("1", line("a", 2)), deduct("2", line("b", 1)), release("3")}
	if applied := atOnce(t, w, reqs...); applied != len(reqs) {
		t.Errorf("%d times applied, want %d", applied, len(reqs))
	}
	w.levels(map[string]int64{"a": 98, "b": 0})
}

func sameReleaseAtOnce(t *testing.T, w *world) {
	w.stocked(map[string]int64{"a": 100, "b": 100})
	w.apply(deduct("1", line("a", 2)), deduct("2", line("a", 1), line("b", 5)))
	if applied := atOnce(t, w, release("1"), release("2")); applied != 2 {
		t.Errorf("%d times applied, want 2", applied)
	}
	w.levels(map[string]int64{"a": 100, "b": 100})
}

// adjustAtOnce creates, fills and sells goods at the same time. Nobody may
// overwrite what another has written.
func adjustAtOnce(t *testing.T, w *world) {
	const rounds = 5
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for round := range rounds {
				a := stock.Adjustment{
					Ref: fmt.Sprintf("add-%d-%d", worker, round), Mode: stock.Add,
					Lines: []stock.Line{line("a", 10), line("b", 10)},
				}
				if err := adjustInsist(w, a); err != nil {
					t.Error(err)
				}
				reqs := []stock.Request{deduct(fmt.Sprintf("%d-%d", worker, round), line("a", 3), line("b", 4))}
				if _, err := insist(w.ctx(), w.ledger, reqs); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// Every seller had filled up before, so nobody was short.
	w.levels(map[string]int64{"a": 4 * rounds * 7, "b": 4 * rounds * 6})
}

func adjustInsist(w *world, a stock.Adjustment) (err error) {
	for range 100 {
		if _, err = w.ledger.Adjust(w.ctx(), a); err == nil {
			return nil
		}
	}
	return err
}

// history runs one random history on the ledger and on a fresh model and
// compares every answer, up to the times.
func history(t *testing.T, w *world) {
	const seed, batches = 11, 25
	rng := rand.New(rand.NewPCG(seed, 0))
	model := NewModel()
	goods := []string{"a", "b", "c", "d"}
	for _, g := range goods {
		a := stock.Adjustment{Ref: "stock " + g, Mode: stock.Set, Lines: []stock.Line{line(g, 30)}}
		w.adjust(a, g+" 0 30 +")
		if _, err := model.Adjust(w.ctx(), a); err != nil {
			t.Fatal(err)
		}
	}
	for batch := range batches {
		reqs := make([]stock.Request, 1+rng.IntN(8))
		for i := range reqs {
			order := fmt.Sprint("order ", rng.IntN(60))
			if rng.IntN(3) == 0 {
				reqs[i] = release(order)
				continue
			}
			var lines []stock.Line
			for _, g := range rng.Perm(len(goods))[:1+rng.IntN(2)] {
				lines = append(lines, line(goods[g], 1+rng.Int64N(4)))
			}
			sortLines(lines)
			reqs[i] = deduct(order, lines...)
		}
		want, err := model.Apply(w.ctx(), reqs)
		if err != nil {
			t.Fatal(err)
		}
		got := w.apply(reqs...)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(stock.Record{}, "DecidedAt", "ReleasedAt"), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d, batch %d (-model +got):\n%s", seed, batch, diff)
		}
	}
	wantSummary, err := model.Audit(w.ctx(), stock.AuditOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantSummary, w.audit(), cmpopts.IgnoreFields(stock.Summary{}, "Took")); diff != "" {
		t.Errorf("summary (-model +got):\n%s", diff)
	}
}
