package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/order"
)

// Range is a part of one partition: offsets From up to, but not including, To.
type Range struct {
	Topic     string
	Partition int
	From, To  int64
}

// Messages is the number of offsets in the range; the log may hold fewer
// messages, where it has gaps.
func (r Range) Messages() int64 { return max(0, r.To-r.From) }

// Ranges are all that a topic holds now, by partition. What is appended later
// is not in them.
func (c *Client) Ranges(ctx context.Context, topic string) ([]Range, error) {
	partitions, err := c.Partitions(ctx, []string{topic})
	if err != nil {
		return nil, err
	}
	if len(partitions[topic]) == 0 {
		return nil, fmt.Errorf("topic %s: %w", topic, kafkago.UnknownTopicOrPartition)
	}
	bounds, err := c.allBounds(ctx, partitions)
	if err != nil {
		return nil, err
	}
	var ranges []Range
	for _, id := range partitions[topic] {
		p := bounds[topic][id]
		ranges = append(ranges, Range{Topic: topic, Partition: id, From: p.First, To: p.End})
	}
	return ranges, nil
}

// Scan reads the ranges without joining a group: offsets of groups stay as
// they are. visit is called in the order of offsets within a partition, and
// from one goroutine for each range; its error ends the scan. Messages that
// retention has removed meanwhile are an error that wraps ErrDataLoss.
func (c *Client) Scan(ctx context.Context, ranges []Range, visit func(order.Message) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range ranges {
		if r.Messages() > 0 {
			group.Go(func() error { return c.scan(ctx, r, visit) })
		}
	}
	return group.Wait()
}

// scanWait is how long the broker holds a request at the end of the log. The
// reader asks for what comes behind the range too, and cannot be closed before
// it has its answer.
const scanWait = 20 * time.Millisecond

// scanLook is how long nothing may come before it is looked whether the range is
// still there, scanPatience how long before it is given up.
const (
	scanLook     = 3 * time.Second
	scanPatience = 30 * time.Second
)

func (c *Client) scan(ctx context.Context, r Range, visit func(order.Message) error) error {
	cfg := c.readerConfig(r.Topic, r.Partition)
	cfg.MaxWait = scanWait
	reader := kafkago.NewReader(cfg)
	defer closeSoon(reader.Close)
	err := reader.SetOffset(r.From)
	if err != nil {
		return fmt.Errorf("start %s/%d at %d: %w", r.Topic, r.Partition, r.From, err)
	}
	for next := r.From; ; {
		m, err := c.fetchNext(ctx, reader, r, next)
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", r.Topic, r.Partition, err)
		}
		if m.Offset > next {
			err = c.removed(ctx, r, next)
			if err != nil {
				return err
			}
		}
		if m.Offset >= r.To {
			return nil
		}
		err = visit(incoming(&m))
		if err != nil || m.Offset == r.To-1 {
			return err
		}
		next = m.Offset + 1
	}
}

// fetchNext waits for the message at next or behind it. What retention has taken
// never comes.
func (c *Client) fetchNext(ctx context.Context, reader *kafkago.Reader, r Range, next int64) (kafkago.Message, error) {
	began := time.Now()
	for {
		look, cancel := context.WithTimeout(ctx, scanLook)
		m, err := reader.FetchMessage(look)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return m, err
		}
		err = c.removed(ctx, r, next)
		if err == nil && time.Since(began) >= scanPatience {
			err = fmt.Errorf("nothing has come at %d for %s, and the range goes on to %d", next, scanPatience, r.To)
		}
		if err != nil {
			return m, err
		}
	}
}

// removed returns an error when the log no longer has the offset. A hole that is
// no loss (transaction markers, compaction) is none.
func (c *Client) removed(ctx context.Context, r Range, next int64) error {
	first, _, err := c.bounds(ctx, r.Topic, r.Partition)
	if err != nil || first <= next {
		return nil //nolint:nilerr // cannot tell now
	}
	return fmt.Errorf("%w: %s/%d from %d up to %d", ErrDataLoss, r.Topic, r.Partition, next, min(first, r.To)-1)
}

// readerConfig reads one partition, outside of any group.
func (c *Client) readerConfig(topic string, partition int) kafkago.ReaderConfig {
	return kafkago.ReaderConfig{
		Brokers:         c.cfg.Brokers,
		Dialer:          c.dialer,
		Topic:           topic,
		Partition:       partition,
		MinBytes:        1,
		MaxBytes:        fetchBytes,
		MaxWait:         fetchWait,
		QueueCapacity:   fetchQueue,
		ReadLagInterval: -1, // the lag of a group's reader is wrong; Positions tells it
	}
}
