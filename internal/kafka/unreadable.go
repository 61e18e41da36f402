package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// ErrUnreadable: the log has something that cannot be decoded. It is not passed over:
// it may be an event.
var ErrUnreadable = errors.New("messages cannot be decoded")

// errDistrusted is the error of an answer that was understood and cannot be believed.
var errDistrusted = errors.New("the broker does not know better yet")

// pass returns where to go on behind a batch of which nothing is left at next and
// behind it: compaction keeps the batch. Of read records nothing may be missing, or
// it is not compaction that has taken them.
func (c *Client) pass(ctx context.Context, r Range, next int64, read int) (int64, error) {
	head, err := c.head(ctx, r, next)
	for began := time.Now(); err != nil && time.Since(began) < scanPatience; head, err = c.head(ctx, r, next) {
		if errors.Is(err, kafkago.OffsetOutOfRange) {
			return next, nil // who asks for the next piece finds out why
		}
		if sleep(ctx, scanRest) != nil {
			return next, context.Cause(ctx)
		}
	}
	switch {
	case err != nil:
		return next, fmt.Errorf("read %s/%d at %d: %w", r.Topic, r.Partition, next, err)
	case head.first > next:
		return head.first, nil // the batch that was read is gone by now
	case read < head.records:
		return next, fmt.Errorf("read %s/%d at %d: %w: the batch of offsets %d to %d has %d records, of which %d could be decoded",
			r.Topic, r.Partition, next, ErrUnreadable, head.first, head.last, head.records, read)
	}
	return max(next, head.last) + 1, nil
}

// garbledMost is how often in a row an answer may not be understood. On its way one
// is garbled once, in the log for ever.
const garbledMost = 3

// doubt is what is suspected of an offset that is asked for again and again.
type doubt struct {
	garbled int
	head    batchHead
}

// about returns an error when err is what is wrong with the log itself: the broker
// answers, also between two answers that could not be decoded.
func (d *doubt) about(ctx context.Context, c *Client, r Range, next int64, err error) error {
	if err == nil || understood(err) {
		d.garbled = 0
		return nil
	}
	d.garbled++
	switch d.garbled {
	case garbledMost:
		return fmt.Errorf("%w: offset %d in the batch of offsets %d to %d: %w", ErrUnreadable, next, d.head.first, d.head.last, err)
	case garbledMost - 1:
		head, err := c.head(ctx, r, next)
		if err != nil {
			d.garbled = 0
			return nil //nolint:nilerr // it is not only this answer
		}
		d.head = head
	}
	return nil
}

// understood reports whether err is what a broker says, or that nothing came of it,
// rather than that an answer came which cannot be decoded. The client's errors of
// decoding have no type.
func understood(err error) bool {
	if _, said := errors.AsType[kafkago.Error](err); said {
		return true
	}
	if _, leaderless := errors.AsType[*fetch.Error](err); leaderless {
		return true
	}
	if _, network := errors.AsType[net.Error](err); network {
		return true
	}
	for _, known := range []error{
		errDistrusted,
		protocol.ErrNoTopic, protocol.ErrNoPartition, protocol.ErrNoLeader, // a broker that throttles names no topic
		io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
