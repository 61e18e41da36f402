package bench

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/workload"
)

// sampleShare is the part of all orders that each combination is tried on.
const sampleShare = 10

// search tries every combination on a sample and finds the fastest. It leaves
// the tables larger than they were: what is found is measured on others.
func (m *measurement) search(ctx context.Context) (Run, error) {
	sample := max(m.Events/sampleShare, 1)
	config := m.Load
	config.Orders = len(m.Tried) * sample
	requests, err := requestsOf(config, m.Topic)
	if err != nil {
		return Run{}, err
	}
	best := Run{}
	samples := slices.Collect(slices.Chunk(requests, sample))
	for i, c := range m.Tried {
		if i > 0 && c.Batch*c.Connections > sample {
			continue // not every connection would get a batch
		}
		m.meter = meter{processes: m.Processes}
		run, err := m.apply(ctx, c, samples[i])
		if err != nil {
			return Run{}, err
		}
		if best.Events == 0 || run.Took < best.Took {
			best, best.Ceiling = run, c
		}
	}
	return best, nil
}

// ceiling writes the very rows that the others write, and does nothing else.
func (m *measurement) ceiling(ctx context.Context) (Run, error) {
	requests, err := requestsOf(m.Load, m.Topic)
	if err != nil {
		return Run{}, err
	}
	run, err := m.apply(ctx, m.Ceiling, requests)
	run.Ceiling = m.Ceiling
	return run, err
}

// apply has all requests decided.
func (m *measurement) apply(ctx context.Context, c Ceiling, requests []stock.Request) (Run, error) {
	l, err := ledger.Open(ctx, ledger.Config{URL: m.Servers.DatabaseURL, MaxConns: c.Connections})
	if err != nil {
		return Run{}, err
	}
	defer l.Close() //nolint:errcheck // opened for this function only
	next, stop := iter.Pull(slices.Chunk(requests, c.Batch))
	defer stop()
	var mu sync.Mutex
	m.meter.begin()
	group, ctx := errgroup.WithContext(ctx)
	for range c.Connections {
		group.Go(func() error {
			for {
				mu.Lock()
				batch, more := next()
				mu.Unlock()
				if !more {
					return nil
				}
				err := applyBatch(ctx, l, batch)
				if err != nil {
					return err
				}
			}
		})
	}
	err = group.Wait()
	return m.meter.end(len(requests)), err
}

// applyBatch runs one transaction until it is through.
func applyBatch(ctx context.Context, l *ledger.Ledger, batch []stock.Request) error {
	for {
		decisions, err := l.Apply(ctx, batch)
		if errors.Is(err, stock.ErrBusy) {
			continue // another connection's transaction was in the way
		}
		if err != nil {
			return err
		}
		for i := range decisions {
			if decisions[i].Verdict != stock.Applied || decisions[i].Record.State != stock.Deducted {
				return fmt.Errorf("order %s came to %s: not the work that the others do",
					batch[i].Order, decisions[i].Record.State)
			}
		}
		return nil
	}
}

// requestsOf are what the events of a workload ask of the stock.
func requestsOf(config workload.Config, topic string) ([]stock.Request, error) {
	load, err := workload.New(config)
	if err != nil {
		return nil, err
	}
	requests := make([]stock.Request, 0, config.Orders)
	for item := range load.Events() {
		if item.Kind != workload.Created || item.Event.Type != order.Created {
			return nil, fmt.Errorf("event of kind %s: the shapes have orders alone", item.Kind)
		}
		n := len(requests)
		requests = append(requests, stock.Request{
			Order:   item.Event.OrderID,
			Action:  stock.Deduct,
			Lines:   item.Event.Lines,
			Origin:  stock.Origin{Topic: topic, Partition: n % partitions, Offset: int64(n / partitions)},
			Attempt: 1,
		})
	}
	return requests, nil
}
