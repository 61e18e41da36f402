package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/stocktest"
)

// applyInTurn applies a batch, and again while its rows are held by others for longer
// than the ledger waits: on a slow machine the last of many has to wait that long. A
// circle is found by the server at once, and is another error.
func applyInTurn(ctx context.Context, l *ledger.Ledger, reqs []stock.Request) error {
	const waits = 20
	var err error
	for range waits {
		_, err = l.Apply(ctx, reqs)
		if err == nil || !strings.Contains(err.Error(), "Error 1205 ") {
			break
		}
	}
	return err
}

// TestBatchesDoNotDeadlock: rows are locked and written in the order of their
// keys everywhere, so batches of different orders wait for each other and never
// in a circle. Each worker also gives back a part of what it took, and has a ledger of its
// own, as an instance does: those of one ledger lock one after the other.
func TestBatchesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		const workers, batches, perBatch, goods = 8, 6, 40, 60
		l := openMigrated(t, url)
		var names []string
		for i := range goods {
			names = append(names, fmt.Sprint(i))
		}
		stocked(t, l, 1_000_000, names...)
		var wg sync.WaitGroup
		for worker := range workers {
			its := open(t, url)
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(worker), 5))
				for batch := range batches {
					var reqs []stock.Request
					for i := range perBatch {
						nums := map[string]int64{names[rng.IntN(goods)]: 1, names[rng.IntN(goods)]: 2, names[rng.IntN(goods)]: 3}
						var lines []stock.Line
						for _, g := range slices.SortedFunc(maps.Keys(nums), strings.Compare) {
							lines = append(lines, line(g, nums[g]))
						}
						reqs = append(reqs, deduct(fmt.Sprintf("%d-%d-%d", rng.IntN(1000), worker, batch*perBatch+i), lines...)...)
					}
					if err := applyInTurn(t.Context(), its, reqs); err != nil {
						t.Errorf("deduct: %v", err)
						return
					}
					for i := range reqs {
						reqs[i].Action = stock.Release
					}
					if err := applyInTurn(t.Context(), its, reqs[:perBatch/2]); errors.Is(err, stock.ErrBusy) {
						t.Errorf("release: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		wantClean(t, l)
		wantBalances(t, l, url)
	})
}

// wantBalances holds the balances of all movements of each goods against each other: put in
// some order, each begins where the one before ended, from nothing to the level there is.
func wantBalances(t *testing.T, l *ledger.Ledger, url string) {
	t.Helper()
	rows, err := stocktest.Admin(t, url).QueryContext(t.Context(), "SELECT goods_id,delta,balance FROM movements")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	open := make(map[string]map[int64]int) // by goods: how often a balance was reached and not left, or left and not reached
	for rows.Next() {
		var goods string
		var delta, balance int64
		if err := rows.Scan(&goods, &delta, &balance); err != nil {
			t.Fatal(err)
		}
		if open[goods] == nil {
			open[goods] = map[int64]int{0: 1}
		}
		open[goods][balance-delta]--
		open[goods][balance]++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if len(open) == 0 {
		t.Fatal("nothing has moved")
	}
	for goods, balances := range open {
		level, err := l.Get(t.Context(), goods)
		if err != nil {
			t.Fatal(err)
		}
		balances[level.Available]--
		for balance, n := range balances {
			if n != 0 {
				t.Errorf("goods %s: balance %d is reached %+d times more than it is left", goods, balance, n)
			}
		}
	}
}
