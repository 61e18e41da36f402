package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"orderconsumer/internal/order"
)

const (
	// streamTimeout bounds the way to a partition's leader, the wait for an answer,
	// and for each message of it.
	streamTimeout = 10 * time.Second
	// fetchBytes is the most one answer brings. A larger message still comes.
	fetchBytes = 1 << 20
)

// stream visits what comes over one connection from next on, and returns where it
// has come to. That nothing comes any more is no error here: why, is found out by
// who asks for the next step.
func (c *Client) stream(ctx context.Context, r Range, next int64, in intake) (int64, error) {
	s, err := c.openStream(ctx, r)
	if err != nil {
		return next, nil // the next step says why
	}
	defer s.close()
	for next < r.To {
		from := next
		next, err = s.piece(ctx, next, in)
		if errors.Is(err, errAnswer) {
			return next, nil
		}
		if err != nil || next == from {
			return next, err
		}
	}
	return next, nil
}

// stream is one connection to the leader of a partition, over which one answer comes
// after the other. It is for one goroutine.
type stream struct {
	r    Range
	conn *kafkago.Conn
	stop func() bool
	wait time.Duration // how long the broker may hold a question
	end  int64         // of the log, as the last answer says
}

// openStream connects to the leader of the range's partition; the stream ends with
// ctx. The client's own patience ends with the connection: after a topic that is
// gone it would ask for ever.
func (c *Client) openStream(ctx context.Context, r Range) (*stream, error) {
	var errs []error
	for _, n := range rand.Perm(len(c.cfg.Brokers)) {
		dialing, cancel := context.WithTimeout(ctx, streamTimeout)
		conn, err := c.dialer.DialLeader(dialing, "tcp", c.cfg.Brokers[n], r.Topic, r.Partition)
		cancel()
		if err == nil {
			return &stream{r: r, conn: conn, wait: scanWait,
				stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}, nil // whoever reads is told
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("no way to the leader of %s/%d: %w", r.Topic, r.Partition, errors.Join(errs...))
}

// first is the first offset that the log has.
func (s *stream) first() (int64, error) {
	_ = s.conn.SetReadDeadline(time.Now().Add(streamTimeout)) // fails only if the connection has
	first, err := s.conn.ReadFirstOffset()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return first, nil
}

func (s *stream) close() {
	s.stop()
	_ = s.conn.Close() // it was only read
}

var (
	// errAnswer: an answer did not come to its end. Its connection is of no use any
	// more.
	errAnswer = errors.New("an answer broke off")
	// errPanicked is the errAnswer of an answer that the client does not understand.
	errPanicked = fmt.Errorf("%w: the client does not understand it", errAnswer)
)

// piece visits one answer, in which nothing need be, and returns where to go on. An
// error that is no errAnswer is the intake's.
func (s *stream) piece(ctx context.Context, next int64, in intake) (int64, error) {
	if _, err := s.conn.Seek(next, kafkago.SeekAbsolute|kafkago.SeekDontCheck); err != nil {
		return next, fmt.Errorf("%w: %w", errAnswer, err)
	}
	var asked time.Time
	patient := func() { // visiting may take any time; most of it takes none
		if now := time.Now(); now.Sub(asked) >= streamTimeout/4 {
			_ = s.conn.SetReadDeadline(now.Add(streamTimeout)) // fails only if the connection has
			asked = now
		}
	}
	patient()
	batch := s.conn.ReadBatchWith(kafkago.ReadBatchConfig{MinBytes: 1, MaxBytes: fetchBytes, MaxWait: s.wait})
	s.end = batch.HighWaterMark()
	var broken error
	next, err := visitAll(ctx, s.r, next, func() (order.Message, error) {
		patient()
		m, err := nextOf(batch)
		switch {
		case err == nil:
			return incoming(&m), nil
		case errors.Is(err, errPanicked):
			broken = err
		case !errors.Is(err, io.EOF) && !errors.Is(err, kafkago.RequestTimedOut): // the two ways of an answer to end
			broken = fmt.Errorf("%w: %w", errAnswer, err)
		}
		return order.Message{}, io.EOF
	}, in)
	if err == nil && !errors.Is(broken, errPanicked) && next < s.r.To {
		// After a panic the answer holds its locks: to close it would take for ever.
		_ = batch.Close() // what is wrong shows at the next piece
	}
	if err == nil {
		err = broken
	}
	return next, err
}

// nextOf is the next message of an answer. Of two empty batches in a row, which a
// compacted topic may have, the client takes the second for a message, and panics.
func nextOf(batch *kafkago.Batch) (m kafkago.Message, err error) {
	defer func() {
		if recover() != nil {
			err = errPanicked
		}
	}()
	return batch.ReadMessage()
}
