package order

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"orderconsumer/internal/stock"
)

func schedulerConfig() SchedulerConfig {
	return SchedulerConfig{
		MaxBatch: 100, MaxBatchLines: 1000, LookAhead: 1000,
		MaxWaiting: 1000, MaxWaitingBytes: 1 << 20, ClaimAfter: time.Second,
	}
}

// waitingTask is a task of the order that wants one of each goods.
func waitingTask(id string, goods ...string) *task {
	t := &task{event: Event{OrderID: id, Type: Created}, bytes: 10, since: time.Now()}
	for _, g := range goods {
		t.event.Lines = append(t.event.Lines, stock.Line{Goods: g, Num: 1})
	}
	return t
}

func submitAll(t *testing.T, s *scheduler, tasks ...*task) {
	t.Helper()
	for _, task := range tasks {
		err := s.submit(t.Context(), task)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func take(t *testing.T, s *scheduler) *batch {
	t.Helper()
	b, err := s.next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ids(b *batch) []string {
	var list []string
	for _, t := range b.tasks {
		list = append(list, t.event.OrderID)
	}
	return list
}

func expectBatch(t *testing.T, b *batch, want ...string) {
	t.Helper()
	if got := ids(b); !slices.Equal(got, want) {
		t.Fatalf("batch has orders %v, want %v", got, want)
	}
}

func TestScheduler(t *testing.T) {
	t.Parallel()

	t.Run("takes all that share no goods with a batch in flight", func(t *testing.T) {
		t.Parallel()
		s := newScheduler(schedulerConfig(), time.Now)
		submitAll(t, s, waitingTask("1", "a", "b"))
		first := take(t, s)
		submitAll(t, s, waitingTask("2", "b", "c"), waitingTask("3", "c"), waitingTask("4", "d"))
		expectBatch(t, take(t, s), "3", "4")
		s.freeGoods(first)
		// Goods c is still the second batch's.
		submitAll(t, s, waitingTask("5", "a"))
		expectBatch(t, take(t, s), "5")
	})

	t.Run("keeps the events of one order apart until the first is published", func(t *testing.T) {
		t.Parallel()
		s := newScheduler(schedulerConfig(), time.Now)
		submitAll(t, s, waitingTask("1", "a"), waitingTask("1"), waitingTask("2", "b"))
		first := take(t, s)
		expectBatch(t, first, "1", "2")
		s.freeGoods(first)
		submitAll(t, s, waitingTask("3", "a"))
		expectBatch(t, take(t, s), "3") // order 1 is still busy
		s.finish(first)
		expectBatch(t, take(t, s), "1")
	})

	t.Run("a skipped event keeps the later ones of its order behind it", func(t *testing.T) {
		t.Parallel()
		s := newScheduler(schedulerConfig(), time.Now)
		submitAll(t, s, waitingTask("1", "a"))
		first := take(t, s)
		submitAll(t, s, waitingTask("2", "a"), waitingTask("2", "free"), waitingTask("3", "free"))
		expectBatch(t, take(t, s), "3")
		s.freeGoods(first)
		expectBatch(t, take(t, s), "2")
	})

	t.Run("bounds a batch by orders and by lines", func(t *testing.T) {
		t.Parallel()
		cfg := schedulerConfig()
		cfg.MaxBatch, cfg.MaxBatchLines = 3, 4
		s := newScheduler(cfg, time.Now)
		submitAll(t, s, waitingTask("1", "a", "b", "c"), waitingTask("2", "d", "e"), waitingTask("3", "f"),
			waitingTask("4", "g"), waitingTask("5", "h"), waitingTask("6", "i"))
		expectBatch(t, take(t, s), "1", "2")
		expectBatch(t, take(t, s), "3", "4", "5")
	})

	t.Run("bounds a batch by bytes, but for one message", func(t *testing.T) {
		t.Parallel()
		cfg := schedulerConfig()
		cfg.MaxBatchBytes = 25
		s := newScheduler(cfg, time.Now)
		large := waitingTask("3", "c")
		large.bytes = 100
		submitAll(t, s, waitingTask("1", "a"), waitingTask("2", "b"), large, waitingTask("4", "d"))
		expectBatch(t, take(t, s), "1", "2")
		expectBatch(t, take(t, s), "3")
		expectBatch(t, take(t, s), "4")
	})

	t.Run("does not take the few leftovers of a long queue while a batch is in flight", func(t *testing.T) {
		t.Parallel()
		s := newScheduler(schedulerConfig(), time.Now)
		submitAll(t, s, waitingTask("0", "hot"))
		first := take(t, s)
		for n := range 50 {
			submitAll(t, s, waitingTask(fmt.Sprint("hot-", n), "hot"))
		}
		submitAll(t, s, waitingTask("cold", "cold"))
		s.mu.Lock()
		b := s.form()
		s.mu.Unlock()
		if b != nil {
			t.Fatalf("took %v", ids(b))
		}
		s.freeGoods(first)
		if got := take(t, s); len(got.tasks) != 51 || ids(got)[50] != "cold" {
			t.Fatalf("took %v", ids(got))
		}
	})

	t.Run("leftovers keep the later events of their orders behind them", func(t *testing.T) {
		t.Parallel()
		s := newScheduler(schedulerConfig(), time.Now)
		submitAll(t, s, waitingTask("0", "hot"))
		first := take(t, s)
		for n := range 20 {
			submitAll(t, s, waitingTask(fmt.Sprint("hot-", n), "hot"))
		}
		submitAll(t, s, waitingTask("cold", "cold"))
		if b := s.tryNext(); b != nil {
			t.Fatalf("took %v, which are leftovers", ids(b))
		}
		submitAll(t, s, waitingTask("cold", "elsewhere"))
		var free []string
		for n := range 20 {
			free = append(free, fmt.Sprint("free-", n))
			submitAll(t, s, waitingTask(free[n], "cold-"+free[n]))
		}
		expectBatch(t, take(t, s), free...)
		s.freeGoods(first)
		if got := ids(take(t, s)); got[len(got)-1] != "cold" {
			t.Fatalf("took %v", got)
		}
	})

	t.Run("an event that cannot be used waits for nobody", func(t *testing.T) {
		t.Parallel()
		s := newScheduler(schedulerConfig(), time.Now)
		submitAll(t, s, waitingTask("1", "a"))
		take(t, s)
		broken := waitingTask("1")
		broken.fault = &Malformed{Code: "malformed_json"}
		submitAll(t, s, broken)
		if b := take(t, s); len(b.tasks) != 1 || b.tasks[0] != broken {
			t.Fatalf("got %v", ids(b))
		}
	})

	t.Run("tops a batch up only with goods it holds", func(t *testing.T) {
		t.Parallel()
		s := newScheduler(schedulerConfig(), time.Now)
		submitAll(t, s, waitingTask("1", "a", "b"))
		b := take(t, s)
		submitAll(t, s, waitingTask("2", "a", "c"), waitingTask("3", "b"), waitingTask("4", "b"), waitingTask("1", "b"))
		s.topUp(b)
		expectBatch(t, b, "1", "3", "4")
		expectBatch(t, takeAfterFree(t, s, b), "2")
	})
}

func takeAfterFree(t *testing.T, s *scheduler, b *batch) *batch {
	t.Helper()
	s.freeGoods(b)
	return take(t, s)
}

func TestSchedulerWaiting(t *testing.T) {
	t.Parallel()

	t.Run("an order is overtaken no longer than the claim allows", func(t *testing.T) {
		t.Parallel()
		clock := time.Now()
		s := newScheduler(schedulerConfig(), func() time.Time { return clock })
		submitAll(t, s, waitingTask("1", "a"))
		first := take(t, s)
		submitAll(t, s, waitingTask("old", "a", "b"), waitingTask("2", "b"))
		second := take(t, s)
		expectBatch(t, second, "2") // overtakes
		clock = clock.Add(2 * time.Second)
		s.freeGoods(second)
		submitAll(t, s, waitingTask("3", "b"), waitingTask("4", "c"))
		expectBatch(t, take(t, s), "4") // b is claimed by the old one
		s.freeGoods(first)
		expectBatch(t, take(t, s), "old", "3")
	})

	t.Run("a submit waits for room and gives up with its context", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			cfg := schedulerConfig()
			cfg.MaxWaiting = 1
			s := newScheduler(cfg, time.Now)
			submitAll(t, s, waitingTask("1", "a"))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := s.submit(ctx, waitingTask("2", "b"))
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
			done := make(chan error, 1)
			go func() { done <- s.submit(t.Context(), waitingTask("3", "c")) }()
			synctest.Wait()
			expectBatch(t, take(t, s), "1")
			err = <-done
			if err != nil {
				t.Fatal(err)
			}
			expectBatch(t, take(t, s), "3")
		})
	})

	t.Run("a message larger than all the room still fits alone", func(t *testing.T) {
		t.Parallel()
		cfg := schedulerConfig()
		cfg.MaxWaitingBytes = 5
		s := newScheduler(cfg, time.Now)
		submitAll(t, s, waitingTask("1", "a"))
		expectBatch(t, take(t, s), "1")
	})

	t.Run("a closed scheduler hands out what waits and then ends its workers", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := newScheduler(schedulerConfig(), time.Now)
			submitAll(t, s, waitingTask("1", "a"))
			first := take(t, s)
			submitAll(t, s, waitingTask("2", "a"))
			s.close()
			err := s.submit(t.Context(), waitingTask("3"))
			if !errors.Is(err, errDrained) {
				t.Fatalf("submit after close: %v", err)
			}
			ended := make(chan error, 1)
			go func() {
				b, err := s.next(t.Context())
				if err == nil {
					s.freeGoods(b)
					_, err = s.next(t.Context())
				}
				ended <- err
			}()
			synctest.Wait() // the worker waits for goods a
			s.freeGoods(first)
			err = <-ended
			if !errors.Is(err, errDrained) {
				t.Fatalf("got %v", err)
			}
		})
	})
}

// TestSchedulerKeepsItsRules drives the scheduler with random events and
// random ends of batches and checks after every step: no goods and no order id
// in two batches in flight, one order's events in the order they came, and
// nothing lost in the end.
func TestSchedulerKeepsItsRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := schedulerConfig()
		cfg.MaxBatch = rapid.IntRange(1, 5).Draw(rt, "max batch")
		cfg.LookAhead = rapid.IntRange(1, 20).Draw(rt, "look ahead")
		clock := time.Unix(0, 0)
		s := newScheduler(cfg, func() time.Time { return clock })
		var (
			inFlight  []*batch // goods not yet free
			published []*batch // goods free, orders busy
			submitted int
			taken     int
			lastSeq   = map[string]int{}
			seqOf     = map[*task]int{}
		)
		check := func(b *batch) {
			for _, t := range b.tasks {
				id := t.event.OrderID
				if seqOf[t] <= lastSeq[id] {
					rt.Fatalf("order %s: event %d after event %d", id, seqOf[t], lastSeq[id])
				}
				lastSeq[id] = seqOf[t]
				for _, other := range append(slices.Clone(inFlight), published...) {
					if slices.Contains(ids(other), id) {
						rt.Fatalf("order %s is in two batches", id)
					}
				}
				for i := range t.event.Lines {
					for _, other := range inFlight {
						if slices.Contains(other.goods, t.event.Lines[i].Goods) {
							rt.Fatalf("goods %s are in two batches", t.event.Lines[i].Goods)
						}
					}
				}
			}
		}
		step := func() {
			s.mu.Lock()
			b := s.form()
			s.mu.Unlock()
			if b == nil {
				return
			}
			check(b)
			taken += len(b.tasks)
			inFlight = append(inFlight, b)
		}
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			clock = clock.Add(time.Duration(rapid.IntRange(0, 400).Draw(rt, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0, 1:
				goods := rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 0, 3, rapid.ID[int]).Draw(rt, "goods")
				var names []string
				for _, g := range goods {
					names = append(names, fmt.Sprint("g", g))
				}
				task := waitingTask(fmt.Sprint(rapid.IntRange(0, 5).Draw(rt, "order")), names...)
				task.since = clock
				submitted++
				seqOf[task] = submitted
				if s.submit(context.Background(), task) != nil {
					rt.Fatal("submit failed")
				}
			case 2:
				step()
			case 3:
				if len(inFlight) > 0 {
					s.freeGoods(inFlight[0])
					published = append(published, inFlight[0])
					inFlight = inFlight[1:]
				}
			case 4:
				if len(published) > 0 {
					s.finish(published[0])
					published = published[1:]
				}
			}
		}
		for range submitted {
			for _, b := range inFlight {
				s.freeGoods(b)
				s.finish(b)
			}
			for _, b := range published {
				s.finish(b)
			}
			inFlight, published = nil, nil
			step()
		}
		if taken != submitted {
			rt.Fatalf("took %d of %d", taken, submitted)
		}
	})
}
