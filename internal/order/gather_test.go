package order

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestFewMessagesWaitForMoreWhileAWorkerIsAtWork: and for no longer than they may, and not
// where there are enough, or nobody is at work.
func TestFewMessagesWaitForMoreWhileAWorkerIsAtWork(t *testing.T) {
	t.Parallel()
	const longest = 50 * time.Millisecond
	for name, test := range map[string]struct {
		waiting int                // messages that come while a worker is at work
		then    func(s *scheduler) // what happens a moment later
		took    time.Duration
	}{
		"few":                {waiting: 3, then: func(*scheduler) {}, took: longest},
		"half a batch":       {waiting: 50, then: func(*scheduler) {}},
		"the other is ready": {waiting: 3, then: (*scheduler).batchDone, took: longest / 5},
		"a drain":            {waiting: 3, then: (*scheduler).close, took: longest / 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := schedulerConfig()
				cfg.GatherFor = longest
				s := newScheduler(cfg, time.Now)
				began := time.Now()
				submitAll(t, s, waitingTask("first", "a"))
				expectBatch(t, take(t, s), "first")
				if took := time.Since(began); took != 0 {
					t.Errorf("the first waited for %s with nobody at work", took)
				}
				var want []string
				for n := range test.waiting {
					want = append(want, fmt.Sprint("o-", n))
					submitAll(t, s, waitingTask(want[n], "b"))
				}
				go func() {
					time.Sleep(longest / 5)
					test.then(s)
				}()
				if test.took > 0 && s.tryNext() != nil {
					t.Error("a batch can be taken at once")
				}
				expectBatch(t, take(t, s), want...)
				if took := time.Since(began); took != test.took {
					t.Errorf("they waited for %s, want %s", took, test.took)
				}
				time.Sleep(longest)
			})
		})
	}
}
