package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/order"
)

const (
	// headStart is the time between the start of the generator's process and
	// its first order.
	headStart = 300 * time.Millisecond
	// longest is the longest time to an answer that is told from a longer one.
	longest = 10 * time.Minute
	// digits is to how many digits the times are kept.
	digits = 3
)

// Answers are the times from the arrival of an order to its outcome, which is
// published after its transaction has been committed and confirmed by all
// replicas. The log keeps times in whole milliseconds, rounded down, so that
// each is up to a millisecond too long.
type Answers struct {
	Offered  float64 // orders a second
	Count    int64   // orders that arrived while it was measured
	Achieved float64 // orders a second, from the first arrival to the last outcome
	P50      time.Duration
	P99      time.Duration
	P999     time.Duration
	Max      time.Duration
}

// latency runs the consumer under a load from another process. The topic has
// one order already: when that has been read, the group has been joined and
// the load can begin.
func (m *measurement) latency(ctx context.Context) (Run, error) {
	w := newStopwatch(m.Topic)
	f, err := m.openFleet(ctx, w.settled)
	if err != nil {
		return Run{}, err
	}
	defer f.close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return m.load(ctx, f, w) })
	run, err := f.settle(ctx)
	if loadErr := group.Wait(); loadErr != nil {
		err = loadErr // what it did to the consumer follows from it
	}
	run.Answers = w.answers()
	run.Answers.Offered = m.Latency.Rate
	return run, err
}

// load waits for the consumer to read, and has the orders generated.
func (m *measurement) load(ctx context.Context, f *fleet, w *stopwatch) error {
	tick := time.NewTicker(pollEnd)
	defer tick.Stop()
	for !f.reading() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	spec := m.Spec
	spec.Way, spec.Profile = WayGenerate, ""
	spec.Latency.Start = time.Now().Add(headStart)
	w.open(spec.Latency.Start.Add(spec.Latency.Warm))
	_, err := InProcess(ctx, spec)
	if err != nil {
		return fmt.Errorf("generate %.0f orders a second: %w", spec.Latency.Rate, err)
	}
	return nil
}

// stopwatch keeps the times of the orders that arrived after it was opened.
type stopwatch struct {
	topic string

	mu    sync.Mutex
	from  time.Time // zero: not opened
	last  time.Time // the last outcome
	times *hdrhistogram.Histogram
}

func newStopwatch(topic string) *stopwatch {
	return &stopwatch{topic: topic, times: hdrhistogram.New(1, longest.Microseconds(), digits)}
}

func (w *stopwatch) open(from time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from = from
}

// settled is told of each event, by many goroutines.
func (w *stopwatch) settled(s order.Settlement) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.from.IsZero() || s.Topic != w.topic || now.Add(-s.Age).Before(w.from) {
		return
	}
	w.last = now
	_ = w.times.RecordValue(min(s.Age, longest).Microseconds()) // it is in range
}

func (w *stopwatch) answers() *Answers {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := func(quantile float64) time.Duration {
		return time.Duration(w.times.ValueAtQuantile(quantile)) * time.Microsecond
	}
	a := &Answers{
		Count: w.times.TotalCount(),
		P50:   at(50), P99: at(99), P999: at(99.9),
		Max: time.Duration(w.times.Max()) * time.Microsecond,
	}
	if a.Count > 0 {
		a.Achieved = float64(a.Count) / w.last.Sub(w.from).Seconds()
	}
	return a
}
