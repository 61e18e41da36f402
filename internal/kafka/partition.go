package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/order"
)

const (
	// fetchBytes is the most one request brings. A larger message still comes.
	fetchBytes = 1 << 20
	// fetchQueue is how many messages of one partition are read ahead of the
	// flow. The flow's own queue is what feeds the workers, and is bounded in
	// bytes; this one is not.
	fetchQueue = 32
	// fetchWait is how long the answer to a fetch may take. The client has the
	// broker hold a request for which there is nothing yet for all of it but a
	// second, which is left to the network; when the time is up it connects anew and
	// asks again. At 500 ms a reader got nothing over a link of 125 ms each way.
	fetchWait = 2 * time.Second
	// fetchRest is the wait after a failed fetch, on top of the client's own.
	fetchRest = 200 * time.Millisecond
	// closeTimeout bounds the end of a reader: with the broker unreachable the
	// client's Close can take minutes.
	closeTimeout = 2 * time.Second
)

// ErrDataLoss: messages between the committed offset and the log's start were
// removed before they were read, or the log is shorter than the committed
// offset. Orders may have been lost.
var ErrDataLoss = errors.New("messages were removed from the log before they were read")

// partition reads one assigned partition for as long as its generation lasts.
type partition struct {
	consumer *Consumer
	topic    string
	id       int
	start    int64
	mark     *watermark
	flow     *order.Flow
	log      *slog.Logger
}

// run hands the partition's messages to the flow until ctx ends.
func (p *partition) run(ctx context.Context) error {
	next, err := p.consumer.verify(ctx, p.topic, p.id, p.start)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	line := newLine(p.consumer.client.cfg.Dial)
	reader := kafkago.NewReader(p.consumer.client.readerConfig(p.topic, p.id, line))
	defer p.consumer.closeLater(reader, line)
	err = reader.SetOffset(next)
	if err != nil {
		return fmt.Errorf("start %s/%d at %d: %w", p.topic, p.id, next, err)
	}
	for {
		m, err := reader.FetchMessage(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			// The client heals itself; it must only be asked again.
			p.log.WarnContext(ctx, "fetch failed", "error", err)
			err = sleep(ctx, fetchRest)
			if err != nil {
				return nil // told to stop
			}
			continue
		}
		if next >= 0 && m.Offset > next {
			err = p.gap(ctx, next, m.Offset)
			if err != nil {
				return err
			}
		}
		next = m.Offset + 1
		p.consumer.cfg.Crash.At(crash.AfterFetch)
		err = p.hand(ctx, &m)
		if err != nil {
			return nil // told to stop
		}
	}
}

// readerConfig reads one partition, outside of any group.
func (c *Client) readerConfig(topic string, partition int, line *line) kafkago.ReaderConfig {
	dialer := *c.dialer
	dialer.DialFunc = line.Dial
	return kafkago.ReaderConfig{
		Brokers:         c.cfg.Brokers,
		Dialer:          &dialer,
		Topic:           topic,
		Partition:       partition,
		MinBytes:        1,
		MaxBytes:        fetchBytes,
		MaxWait:         fetchWait,
		QueueCapacity:   fetchQueue,
		ReadLagInterval: -1, // the lag of a group's reader is wrong; Positions tells it
	}
}

// hand gives one message to the flow, once it is due.
func (p *partition) hand(ctx context.Context, m *kafkago.Message) error {
	message := incoming(m)
	if most, isTier := p.consumer.cfg.Delays[p.topic]; isTier {
		// No longer than the tier's own delay: whoever writes the message writes
		// its headers and its time too, and must not hold up what is behind it.
		due := order.ParseDelivery(&message).NotBefore
		err := sleep(ctx, min(time.Until(due), most))
		if err != nil {
			return err
		}
	}
	err := p.mark.begin(ctx, m.Offset, time.Now(), m.Time)
	if err != nil {
		return err
	}
	p.consumer.observer.Consumed(p.topic, p.id, 1)
	return p.flow.Submit(ctx, message, p.mark)
}

// gap tells a hole that the log may have (compaction)
// from messages that retention took before they were read.
func (p *partition) gap(ctx context.Context, want, got int64) error {
	first, _, err := p.consumer.client.bounds(ctx, p.topic, p.id)
	if err != nil || first <= want {
		return nil //nolint:nilerr // cannot tell now; the next assignment checks again
	}
	return p.consumer.lost(p.topic, p.id, want, min(first, got))
}

// closeSoon waits for closer, but no longer than closeTimeout.
func closeSoon(closer func() error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = closer() // nothing is lost with a reader's connection
	}()
	select {
	case <-done:
	case <-time.After(closeTimeout):
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
