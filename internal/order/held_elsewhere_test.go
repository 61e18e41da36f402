package order

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestHeldElsewhere is about goods that somebody else kept for longer than the
// budget.
func TestHeldElsewhere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"what was locked in the end is not looked for elsewhere": testOwnLock,
		"looks at many goods keep a batch for a moment only":     testManyLooks,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, test)
		})
	}
}

// testOwnLock has a look that gets no answer, after which the goods are locked with
// the others, and a second batch that wants them meanwhile.
func testOwnLock(t *testing.T) {
	ledger, table := newStage(), newLockTable()
	other, err := table.Lock(t.Context(), []string{"hot"})
	if err != nil {
		t.Fatal(err)
	}
	i := newInstance(ledger, table, 2, func(c *FlowConfig) { c.LockRequired = true })
	i.submit(t, "refused", "hot")
	i.start(t.Context())
	time.Sleep(12 * time.Second)
	_ = other.Unlock(t.Context())
	table.fail(true)
	i.submit(t, "first", "hot")
	synctest.Wait() // it has looked, and waits for Redis
	table.fail(false)
	time.Sleep(50 * time.Millisecond) // it has got what it waited for
	i.submit(t, "second", "hot")
	synctest.Wait()
	if got := ledger.orders(); !slices.Equal(got, []string{"first", "second"}) || i.retried != 1 {
		t.Errorf("in the database: %v; %d were sent to a tier, want the one of before", got, i.retried)
	}
	close(ledger.goOn)
	i.drained(t)
}

// testManyLooks has another service that keeps a hundred goods.
func testManyLooks(t *testing.T) {
	table := newLockTable()
	var taken []string
	for n := range 100 {
		taken = append(taken, fmt.Sprint("taken-", n))
	}
	other, err := table.Lock(t.Context(), taken)
	if err != nil {
		t.Fatal(err)
	}
	i := newInstance(ledgerFunc(deductAll), table, 1, func(c *FlowConfig) { c.Scheduler.MaxBatch = 1 })
	i.tenures.elsewhere = make(heldElsewhere)
	for _, id := range taken {
		i.tenures.elsewhere.note(id)
	}
	time.Sleep(lookEvery) // all are due
	i.submit(t, "many", taken...)
	i.submit(t, "other", "free")
	began := time.Now()
	i.start(t.Context())
	i.drained(t)
	if took := time.Since(began); i.settled != 2 || i.retried != 1 || took > lookMost+lockAfterBudget+time.Millisecond {
		t.Errorf("settled %d, %d of them by a retry, after %s", i.settled, i.retried, took)
	}
	_ = other.Unlock(t.Context())
}

// fail sets whether nobody answers.
func (l *lockTable) fail(failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = failed
}
