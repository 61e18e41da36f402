package kafka

import (
	"context"
	"errors"
	"io"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"orderconsumer/internal/order"
)

// streamTimeout bounds the wait for an answer of the stream, and for each message
// of it.
const streamTimeout = 10 * time.Second

// stream visits what comes over one connection from next on, and returns where it
// has come to. That nothing comes any more is no error here: why, is found out by
// who asks for the next step.
func (c *Client) stream(ctx context.Context, r Range, next int64, visit func(order.Message) error) (int64, error) {
	conn := c.dialLeader(ctx, r)
	if conn == nil {
		return next, nil
	}
	defer conn.Close() //nolint:errcheck // it was only read
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	for next < r.To {
		from := next
		var err error
		next, err = c.streamPiece(ctx, conn, r, from, visit)
		if errors.Is(err, errPanicked) {
			return next, nil // the next step reads what is there by itself
		}
		if err != nil || next == from {
			return next, err
		}
	}
	return next, nil
}

// streamPiece visits one answer.
func (c *Client) streamPiece(ctx context.Context, conn *kafkago.Conn, r Range, next int64, visit func(order.Message) error) (int64, error) {
	if _, err := conn.Seek(next, kafkago.SeekAbsolute|kafkago.SeekDontCheck); err != nil {
		return next, nil //nolint:nilerr // the next step says why
	}
	patient := func() { _ = conn.SetReadDeadline(time.Now().Add(streamTimeout)) } // fails only if the connection has
	patient()
	batch := conn.ReadBatchWith(kafkago.ReadBatchConfig{MinBytes: 1, MaxBytes: fetchBytes, MaxWait: scanWait})
	panicked := false
	next, err := c.visitAll(ctx, r, next, func() (order.Message, error) {
		patient() // visiting may take any time
		m, err := nextOf(batch)
		panicked = errors.Is(err, errPanicked)
		if err != nil {
			return order.Message{}, io.EOF // the end of the answer, or of the connection
		}
		return incoming(&m), nil
	}, visit)
	if err == nil && panicked {
		// It holds its locks: closing it, or asking over its connection again, would
		// wait for ever.
		return next, errPanicked
	}
	if err == nil && next < r.To {
		_ = batch.Close() // what is wrong shows at the next piece
	}
	return next, err
}

// errPanicked ends the use of an answer and of the connection that it came over.
var errPanicked = errors.New("the client does not understand an answer")

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

// dialLeader connects to the leader of the range's partition; nil if none of the
// brokers knows a way. The client's own patience ends with the connection: a
// broker that takes one and then says nothing, or a topic that is gone, it would ask
// for ever.
func (c *Client) dialLeader(ctx context.Context, r Range) *kafkago.Conn {
	for _, broker := range c.cfg.Brokers {
		dialing, cancel := context.WithTimeout(ctx, streamTimeout)
		conn, err := c.dialer.DialLeader(dialing, "tcp", broker, r.Topic, r.Partition)
		cancel()
		if err == nil {
			return conn
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	return nil
}
