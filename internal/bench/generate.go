package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"orderconsumer/internal/workload"
)

const (
	// sendLinger is how long an order waits for company on its way to the log:
	// what producers do by default. It counts.
	sendLinger = 5 * time.Millisecond
	// sendMost is how many orders are handed over at once at most.
	sendMost = 1000
	// sendTimeout bounds one request.
	sendTimeout = 10 * time.Second
)

// generate sends the load's orders when they are due, however slowly the
// others are settled: a load that waited for the consumer would not arrive
// while the consumer is slow, and the time it would have waited would not be
// measured. Each message carries the time at which it was due as its own, so
// that what this process is late counts, too.
func (m *measurement) generate(ctx context.Context) (Run, error) {
	load, err := workload.New(m.Load)
	if err != nil {
		return Run{}, err
	}
	var failed atomic.Pointer[error]
	writer := &kafkago.Writer{
		Addr:         kafkago.TCP(m.Servers.Kafka.Brokers...),
		Topic:        m.Topic,
		Balancer:     kafkago.Murmur2Balancer{},
		RequiredAcks: kafkago.RequireAll,
		BatchSize:    sendMost,
		BatchTimeout: sendLinger,
		WriteTimeout: sendTimeout,
		ReadTimeout:  sendTimeout,
		Async:        true,
		Completion: func(_ []kafkago.Message, err error) {
			if err != nil {
				failed.Store(&err)
			}
		},
	}
	err = send(ctx, writer, load, m.Latency, m.Load.Seed)
	closeErr := writer.Close() // waits for what is under way
	switch first := failed.Load(); {
	case err != nil:
		return Run{}, err
	case first != nil:
		return Run{}, fmt.Errorf("send orders: %w", *first)
	case closeErr != nil:
		return Run{}, fmt.Errorf("send orders: %w", closeErr)
	}
	return Run{Events: m.Load.Orders, Took: time.Since(m.Latency.Start)}, nil
}

// send hands each order over when it is due. The times between two are
// exponentially distributed: customers do not know of each other.
func send(ctx context.Context, writer *kafkago.Writer, load *workload.Workload, l Latency, seed uint64) error {
	chance := rand.New(rand.NewPCG(seed, 0))
	due := l.Start
	var batch []kafkago.Message
	for item := range load.Events() {
		due = due.Add(time.Duration(chance.ExpFloat64() / l.Rate * float64(time.Second)))
		wait := time.Until(due)
		if wait > 0 || len(batch) >= sendMost {
			err := writer.WriteMessages(ctx, batch...)
			if err != nil {
				return fmt.Errorf("send %d orders: %w", len(batch), err)
			}
			batch = make([]kafkago.Message, 0, cap(batch))
		}
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		batch = append(batch, kafkago.Message{Key: item.Key, Value: item.Value, Time: due})
	}
	return writer.WriteMessages(ctx, batch...)
}
