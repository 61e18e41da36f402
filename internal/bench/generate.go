package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"orderconsumer/internal/workload"
)

const (
	// sendLinger is how long an order waits for company on its way to the log:
	// what Kafka's own producer does by default. It counts.
	sendLinger = 5 * time.Millisecond
	// sendTick is how often what is due is handed over. A timer for each order would
	// take the processor away from what is measured. It counts, too.
	sendTick = time.Millisecond
	// sendTimeout bounds the wait for what is under way at the end.
	sendTimeout = 10 * time.Second
)

// generate sends the load's orders when they are due, however slowly the
// others are settled: a load that waited for the consumer would not arrive
// while the consumer is slow, and the time it would have waited would not be
// measured. Each message carries the time at which it was due as its own, so
// that what this process is late counts, too.
//
// The client is not the one that the consumer uses: that one sends a request for
// each partition, twelve times what a shop's producer asks of the broker.
func (m *measurement) generate(ctx context.Context) (Run, error) {
	load, err := workload.New(m.Load)
	if err != nil {
		return Run{}, err
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(m.Servers.Kafka.Brokers...),
		kgo.DefaultProduceTopic(m.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(sendLinger),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MaxBufferedRecords(m.Load.Orders+1), // never waits for room
	)
	if err != nil {
		return Run{}, fmt.Errorf("send orders: %w", err)
	}
	defer client.Close()
	var failed atomic.Pointer[error]
	err = send(ctx, load, m.Latency, m.Load.Seed, func(record *kgo.Record) {
		client.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	})
	ending, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err = errors.Join(err, client.Flush(ending))
	if first := failed.Load(); first != nil {
		err = *first
	}
	if err != nil {
		return Run{}, fmt.Errorf("send orders: %w", err)
	}
	return Run{Events: m.Load.Orders, Took: time.Since(m.Latency.Start)}, nil
}

// send hands each order over at the first tick after it is due. The times between
// two are exponentially distributed: customers do not know of each other.
func send(ctx context.Context, load *workload.Workload, l Latency, seed uint64, produce func(*kgo.Record)) error {
	chance := rand.New(rand.NewPCG(seed, 0))
	tick := time.NewTicker(sendTick)
	defer tick.Stop()
	due := l.Start
	for item := range load.Events() {
		due = due.Add(time.Duration(chance.ExpFloat64() / l.Rate * float64(time.Second)))
		for time.Now().Before(due) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		produce(&kgo.Record{Key: item.Key, Value: item.Value, Timestamp: due})
	}
	return nil
}
