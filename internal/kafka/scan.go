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
// retention has removed meanwhile are an error that wraps ErrDataLoss. Holes of
// the log are passed over, also at the end of a range; markers of transactions
// are visited, because a group's readers hand them to the consumer too.
func (c *Client) Scan(ctx context.Context, ranges []Range, visit func(order.Message) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range ranges {
		if r.Messages() > 0 {
			group.Go(func() error { return c.scan(ctx, r, c.scanner(r, visit)) })
		}
	}
	return group.Wait()
}

const (
	// scanWait is how long the broker may hold a question that it has no answer to.
	// There is one at once, except while the end of the log is not what it was.
	scanWait = 500 * time.Millisecond
	// scanPatience is how long nothing may come before a range is given up, scanRest
	// the time between two tries.
	scanPatience = 30 * time.Second
	scanRest     = 100 * time.Millisecond
)

// scanner is the intake of a scan.
func (c *Client) scanner(r Range, visit func(order.Message) error) intake {
	return intake{visit: visit, missing: func(ctx context.Context, from, _ int64) error { return c.removed(ctx, r, from) }}
}

// errDistrusted is the error of an answer that was understood and cannot be believed.
var errDistrusted = errors.New("the broker does not know better yet")

// scan asks for each piece of the range itself. A reader of the client library
// would not do: it never says that there is nothing more up to the end of the
// range, it reads on behind it, and it drops the connection when a broker or a
// network takes longer to answer than it was allowed to wait for messages.
func (c *Client) scan(ctx context.Context, r Range, in intake) error {
	var doubt doubt
	next, moved := r.From, time.Now()
	for next < r.To {
		from := next
		piece, err := c.piece(ctx, r, next)
		if err == nil {
			next, err = piece.scan(ctx, r, next, in)
			if err != nil && !errors.Is(err, errGarbled) {
				return fmt.Errorf("read %s/%d at %d: %w", r.Topic, r.Partition, next, err)
			}
		}
		if next > from {
			moved = time.Now()
		}
		err = doubt.about(next, err)
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrUnreadable):
			return fmt.Errorf("read %s/%d: %w", r.Topic, r.Partition, err)
		case errors.Is(err, kafkago.OffsetOutOfRange):
			if loss := in.missing(ctx, next, r.To); loss != nil {
				return loss
			}
		}
		if time.Since(moved) >= scanPatience {
			return fmt.Errorf("read %s/%d: nothing has come at %d for %s, and the range goes on to %d: %w",
				r.Topic, r.Partition, next, scanPatience, r.To, err)
		}
		if sleep(ctx, scanRest) != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// piece asks for what is at next and behind it. A leader that has just been chosen may not
// know yet how far the log is confirmed, and one that throttles answers with nothing; that
// nothing stands up to the end of the range must not be taken from either.
func (c *Client) piece(ctx context.Context, r Range, next int64) (portion, error) {
	answer, err := c.fetch(ctx, []wanted{{topic: r.Topic, partition: r.Partition, offset: next, most: fetchBytes, epoch: noEpoch, readEpoch: noEpoch}},
		scanWait, nil, leaderOf(r.Topic, r.Partition))
	if err != nil {
		return portion{}, err
	}
	said := answer.of(r.Topic, r.Partition)
	switch {
	case said == nil, answer.throttled() > 0 && len(said.RecordBatches) == 0:
		if err := sleep(ctx, answer.throttled()); err != nil {
			return portion{}, err
		}
		return portion{}, fmt.Errorf("%w: throttled for %s", errDistrusted, answer.throttled())
	case said.ErrorCode != 0:
		return portion{}, kafkago.Error(said.ErrorCode)
	case said.HighWatermark < r.To:
		return portion{}, fmt.Errorf("%w: the log ends at %d", errDistrusted, said.HighWatermark)
	}
	piece := portionOf(said)
	if got := len(said.RecordBatches); got > 0 && len(piece.batches) == 0 {
		return portion{}, fmt.Errorf("%w: it sends %d bytes, less than a batch", errDistrusted, got)
	}
	return piece, sleep(ctx, answer.throttled())
}

// scan visits the piece. Nothing in it is a hole up to the end of the range.
func (p portion) scan(ctx context.Context, r Range, next int64, in intake) (int64, error) {
	if len(p.batches) == 0 {
		return in.skip(ctx, next, r.To)
	}
	return p.visit(ctx, r, next, in)
}

// removed returns an error when the log no longer has the offset. A hole that is
// no loss (compaction) is none.
func (c *Client) removed(ctx context.Context, r Range, next int64) error {
	first, _, err := c.bounds(ctx, r.Topic, r.Partition)
	if err != nil || first <= next {
		return nil //nolint:nilerr // cannot tell now
	}
	return fmt.Errorf("%w: %s/%d from %d up to %d", ErrDataLoss, r.Topic, r.Partition, next, min(first, r.To)-1)
}
