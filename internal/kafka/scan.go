package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
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

// intake is where what is read from a range goes.
type intake struct {
	// visit takes a message; its error ends the reading.
	visit func(order.Message) error
	// missing is told of offsets [from, to) that the log has no messages at: a hole
	// that it may have, or what retention has taken. Its error ends the reading.
	missing func(ctx context.Context, from, to int64) error
	// endless: nothing follows from an answer in which nothing is.
	endless bool
}

// scanner is the intake of a scan.
func (c *Client) scanner(r Range, visit func(order.Message) error) intake {
	return intake{visit: visit, missing: func(ctx context.Context, from, _ int64) error { return c.removed(ctx, r, from) }}
}

// scan asks for each piece of the range itself. A reader of the client library
// would not do: it never says that there is nothing more up to the end of the
// range, it reads on behind it, and it drops the connection when a broker or a
// network takes longer to answer than it was allowed to wait for messages.
//
// Most of a range comes in a stream. What the stream cannot tell, and single
// messages, for which it is not worth a connection, come in steps.
func (c *Client) scan(ctx context.Context, r Range, in intake) error {
	next, err := c.step(ctx, r, r.From, in)
	for err == nil && next < r.To {
		from := next
		next, err = c.stream(ctx, r, from, in)
		if err == nil && next == from {
			next, err = c.step(ctx, r, from, in)
		}
	}
	return err
}

// step visits the messages of the next batch that has any, and returns where it has
// come to. It does not for many of them: the client library sets aside 64 KiB for
// each batch of such an answer, however small.
func (c *Client) step(ctx context.Context, r Range, next int64, in intake) (int64, error) {
	for next < r.To {
		piece, err := c.fetch(ctx, r, next, in)
		if err != nil {
			return next, fmt.Errorf("read %s/%d: %w", r.Topic, r.Partition, err)
		}
		switch {
		case !empty(piece):
		case in.endless:
			return next, errNothing
		default:
			return r.To, in.missing(ctx, next, r.To) // a hole up to the end
		}
		read := 0
		records := recordsOf(piece, r)
		after, err := visitAll(ctx, r, next, func() (order.Message, error) {
			m, err := records()
			if err == nil {
				read++
			}
			return m, err
		}, in)
		if err != nil || after > next {
			return after, err
		}
		next, err = c.pass(ctx, r, next, read)
		if err != nil {
			return next, err
		}
	}
	return next, nil
}

// errNothing: there should be a message, and none has come.
var errNothing = errors.New("an answer with nothing in it")

// fetch asks for the batch in which next is, or the first one behind it, until
// there is an answer or patience ends.
func (c *Client) fetch(ctx context.Context, r Range, next int64, in intake) (*kafkago.FetchResponse, error) {
	var doubt doubt
	for began := time.Now(); ; {
		piece, err := c.admin.Fetch(ctx, &kafkago.FetchRequest{
			Topic: r.Topic, Partition: r.Partition, Offset: next,
			MinBytes: 1, MaxBytes: 1, MaxWait: scanWait, // one batch always comes whole
		})
		if err == nil {
			err = pieceError(piece, r)
		}
		switch {
		case err == nil:
			return piece, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, kafkago.OffsetOutOfRange):
			if in.endless {
				return nil, err // who reads without end finds out why, once
			}
			if loss := in.missing(ctx, next, r.To); loss != nil {
				return nil, loss
			}
		}
		if err := doubt.about(ctx, c, r, next, err); err != nil {
			return nil, err
		}
		if time.Since(began) >= scanPatience {
			return nil, fmt.Errorf("nothing has come at %d for %s, and the range goes on to %d: %w", next, scanPatience, r.To, err)
		}
		if err := sleep(ctx, scanRest); err != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// pieceError says why an answer cannot be believed. A leader that has just been
// chosen may not know yet how far the log is confirmed, and one that throttles
// answers with nothing; that nothing stands up to the end of the range must not be
// taken from either.
func pieceError(piece *kafkago.FetchResponse, r Range) error {
	switch {
	case piece.Error != nil:
		return piece.Error
	case piece.HighWatermark < r.To:
		return fmt.Errorf("%w: the log ends at %d", errDistrusted, piece.HighWatermark)
	case piece.Throttle > 0 && empty(piece):
		return fmt.Errorf("%w: throttled for %s", errDistrusted, piece.Throttle)
	}
	return nil
}

// empty is true for an answer without a single batch.
func empty(piece *kafkago.FetchResponse) bool { return len(batches(piece)) == 0 }

// batches are those of an answer. Read as one stream it would leave out the markers
// of transactions.
func batches(piece *kafkago.FetchResponse) []kafkago.RecordReader {
	if stream, ok := piece.Records.(*protocol.RecordStream); ok {
		return stream.Records
	}
	return nil
}

// recordsOf yields the messages of an answer, and io.EOF behind the last.
func recordsOf(piece *kafkago.FetchResponse, r Range) func() (order.Message, error) {
	records := protocol.MultiRecordReader(batches(piece)...)
	return func() (order.Message, error) {
		record, err := records.ReadRecord()
		if err != nil {
			return order.Message{}, err
		}
		return scanned(record, r)
	}
}

// visitAll visits what pull yields until io.EOF or the end of the range, and
// returns where to go on.
func visitAll(ctx context.Context, r Range, next int64, pull func() (order.Message, error), in intake) (int64, error) {
	for next < r.To {
		m, err := pull()
		switch {
		case errors.Is(err, io.EOF):
			return next, nil
		case err != nil:
			return next, fmt.Errorf("read %s/%d at %d: %w", r.Topic, r.Partition, next, err)
		case m.Offset < next:
			continue // a batch comes whole
		case m.Offset > next:
			if err := in.missing(ctx, next, min(m.Offset, r.To)); err != nil {
				return next, err
			}
			next = min(m.Offset, r.To) // what is missing was told, also when the message is not taken
		}
		if m.Offset >= r.To {
			return r.To, nil
		}
		if err := in.visit(m); err != nil {
			return next, err
		}
		next = m.Offset + 1
	}
	return next, nil
}

// scanned is the message of a record, in memory of its own.
func scanned(record *kafkago.Record, r Range) (m order.Message, err error) {
	m = order.Message{Topic: r.Topic, Partition: r.Partition, Offset: record.Offset, Time: record.Time,
		Headers: make([]order.Header, len(record.Headers))}
	for i, h := range record.Headers {
		m.Headers[i] = order.Header(h)
	}
	if m.Key, err = bytesOf(record.Key); err == nil {
		m.Value, err = bytesOf(record.Value)
	}
	return m, err
}

// bytesOf copies bytes and gives the memory they were in back. None at all are nil,
// as they come in a stream.
func bytesOf(b kafkago.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	defer b.Close() //nolint:errcheck // it is memory
	if b.Len() == 0 {
		return nil, nil
	}
	return kafkago.ReadAll(b)
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
