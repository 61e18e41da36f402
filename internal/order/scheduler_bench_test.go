package order

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"orderconsumer/internal/stock"
)

// benchScheduler are the defaults of the program.
func benchScheduler() SchedulerConfig {
	return SchedulerConfig{
		MaxBatch: 1000, MaxBatchLines: 4000, LookAhead: 4000,
		MaxWaiting: 8000, MaxWaitingBytes: 32 << 20, ClaimAfter: 200 * time.Millisecond,
	}
}

// taskRing are tasks of different orders, more than can wait and be in flight,
// of one to three goods by Zipf's law; they are used again and again.
type taskRing struct {
	tasks []*task
	next  int
}

func newTaskRing(goods int) *taskRing {
	const tasks, skew = 1 << 15, 1.1
	rng := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(rng, skew, 1, uint64(goods-1))
	ring := &taskRing{tasks: make([]*task, tasks)}
	for i := range ring.tasks {
		t := &task{event: Event{OrderID: fmt.Sprintf("order-%08d", i), Type: Created}, bytes: 200}
		seen := make(map[uint64]bool)
		for range 1 + rng.IntN(3) {
			if g := zipf.Uint64(); !seen[g] {
				seen[g] = true
				t.event.Lines = append(t.event.Lines, stock.Line{Goods: fmt.Sprintf("goods-%d", g), Num: 1})
			}
		}
		ring.tasks[i] = t
	}
	return ring
}

func (r *taskRing) take() *task {
	t := r.tasks[r.next]
	r.next = (r.next + 1) % len(r.tasks)
	t.since = time.Now()
	return t
}

// tryNext is next without waiting: a benchmark in one goroutine has nobody
// else to free what all orders wait for.
func tryNext(s *scheduler) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &batch{}
	s.fill(b, false)
	return b
}

// BenchmarkSchedulerBacklog is the turn of one worker while the queue is full:
// its last batch's goods and orders are given back, as many orders come in as
// there is room for, and it takes its next batch. With two workers the other
// one has a batch in flight all the while.
func BenchmarkSchedulerBacklog(b *testing.B) {
	for _, goods := range []int{1000, 100_000} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("goods=%d/workers=%d", goods, workers), func(b *testing.B) {
				ring := newTaskRing(goods)
				s := newScheduler(benchScheduler(), time.Now)
				held := make([]*batch, workers)
				orders, turn := 0, 0
				b.ReportAllocs()
				for b.Loop() {
					worker := turn % workers
					turn++
					if last := held[worker]; last != nil {
						s.freeGoods(last)
						s.finish(last)
					}
					for len(s.waiting) < s.cfg.MaxWaiting {
						if err := s.submit(b.Context(), ring.take()); err != nil {
							b.Fatal(err)
						}
					}
					held[worker] = tryNext(s)
					orders += len(held[worker].tasks)
				}
				if orders == 0 {
					b.Fatal("no order was ever taken")
				}
				b.ReportMetric(float64(orders)/float64(b.N), "orders/op")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(orders), "ns/order")
			})
		}
	}
}

// BenchmarkSchedulerLight is the way of one order through an idle flow.
func BenchmarkSchedulerLight(b *testing.B) {
	ring := newTaskRing(1000)
	s := newScheduler(benchScheduler(), time.Now)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.submit(b.Context(), ring.take()); err != nil {
			b.Fatal(err)
		}
		taken, err := s.next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		s.freeGoods(taken)
		s.finish(taken)
	}
}
