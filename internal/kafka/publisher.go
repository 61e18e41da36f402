package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"orderconsumer/internal/order"
)

const (
	// publishLinger is how long a message waits for company. Batches of a busy
	// consumer fill at once; this is what one message alone pays.
	publishLinger = 2 * time.Millisecond
	// publishBatch is the most messages in one request to one partition. The
	// client sets aside memory for so many, however few come.
	publishBatch = 250
	// publishBytes bounds one request to one partition. Brokers hold their
	// max.message.bytes (1 MiB unless told otherwise) against the whole request,
	// so a larger one is refused with every message in it, for ever.
	publishBytes = 900 << 10
	// publishAlone is the size from which a message goes in a request of its
	// own, and aloneBytes the most such a request may have: more than the
	// largest message that may be read plus the headers a dead letter adds, or a
	// message that fitted the input could not be dead-lettered.
	publishAlone = publishBytes / 2
	aloneBytes   = 4 << 20
	// publishTries is how often the client itself tries before it answers. The
	// caller goes on trying; each answer lets it say what is wrong.
	publishTries   = 3
	publishTimeout = 10 * time.Second
)

// SendObserver is told what was published.
type SendObserver interface {
	// Sent reports n messages to topic that were confirmed, or were not (err).
	Sent(topic string, n int, err error)
}

// Publisher appends messages and waits until all in-sync replicas have them.
// Messages with the same key go to the same partition, the one the Java
// client would choose.
type Publisher struct {
	writer   *kafkago.Writer
	alone    *kafkago.Writer // for large messages, one a request
	observer SendObserver    // may be nil
}

// NewPublisher returns a publisher. One is enough for a process.
func (c *Client) NewPublisher(observer SendObserver) *Publisher {
	return &Publisher{
		observer: observer,
		writer:   c.newWriter(publishBatch, publishBytes),
		alone:    c.newWriter(1, aloneBytes),
	}
}

func (c *Client) newWriter(batch int, bytes int64) *kafkago.Writer {
	return &kafkago.Writer{
		Addr:      c.admin.Addr,
		Transport: c.transport,
		Balancer:  kafkago.Murmur2Balancer{},
		// The zero value is RequireNone, which confirms what no broker has seen:
		// a dead letter that is acknowledged and lost.
		RequiredAcks: kafkago.RequireAll,
		BatchTimeout: publishLinger,
		BatchSize:    batch,
		BatchBytes:   bytes,
		MaxAttempts:  publishTries,
		WriteTimeout: publishTimeout,
		ReadTimeout:  publishTimeout,
	}
}

// Close waits for what is being written, but not for ever: brokers that do not
// answer would hold up the exit for as long as the client goes on trying, and
// what was not confirmed by now is not acknowledged by anybody.
func (p *Publisher) Close() error {
	closeSoon(func() error { return errors.Join(p.writer.Close(), p.alone.Close()) })
	return nil
}

// Publish implements order.Publisher. An error of ctx, too, leaves it unknown
// whether a message was appended: the client does not take writes back.
func (p *Publisher) Publish(ctx context.Context, messages []order.Message) (unconfirmed []order.Message, err error) {
	small, large := bySize(messages)
	unconfirmed, err = write(ctx, p.writer, small)
	left, largeErr := write(ctx, p.alone, large)
	unconfirmed, err = append(unconfirmed, left...), errors.Join(err, largeErr)
	p.observe(messages, unconfirmed, err)
	if err != nil {
		return unconfirmed, fmt.Errorf("%w: %d of %d messages, first to %s: %w",
			order.ErrPublish, len(unconfirmed), len(messages), unconfirmed[0].Topic, err)
	}
	return nil, nil
}

// bySize parts the messages that need a request of their own from the others.
func bySize(messages []order.Message) (small, large []order.Message) {
	for i := range messages {
		if size(&messages[i]) >= publishAlone {
			large = append(large, messages[i])
		}
	}
	if len(large) == 0 {
		return messages, nil
	}
	for i := range messages {
		if size(&messages[i]) < publishAlone {
			small = append(small, messages[i])
		}
	}
	return small, large
}

func size(m *order.Message) int {
	n := len(m.Key) + len(m.Value)
	for i := range m.Headers {
		n += len(m.Headers[i].Key) + len(m.Headers[i].Value)
	}
	return n
}

// write returns the messages that were not confirmed and one of the reasons.
func write(ctx context.Context, w *kafkago.Writer, messages []order.Message) (unconfirmed []order.Message, err error) {
	if len(messages) == 0 {
		return nil, nil
	}
	err = w.WriteMessages(ctx, outgoing(messages)...)
	var each kafkago.WriteErrors
	if err == nil || !errors.As(err, &each) || len(each) != len(messages) {
		if err != nil {
			unconfirmed = messages
		}
		return unconfirmed, sized(err)
	}
	err = nil
	for i := range each {
		if each[i] != nil {
			unconfirmed = append(unconfirmed, messages[i])
			if !errors.Is(err, order.ErrTooLarge) { // the reason that must not be missed
				err = sized(each[i])
			}
		}
	}
	return unconfirmed, err
}

// sized marks an error, of the client or of a broker, that is about the size of
// what was sent: sending the same again is of no use.
func sized(err error) error {
	if errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge) {
		return fmt.Errorf("%w: %w", order.ErrTooLarge, err)
	}
	return err
}

func (p *Publisher) observe(messages, unconfirmed []order.Message, err error) {
	if p.observer == nil {
		return
	}
	sent := make(map[string]int, 4)
	for i := range messages {
		sent[messages[i].Topic]++
	}
	failed := make(map[string]int)
	for i := range unconfirmed {
		failed[unconfirmed[i].Topic]++
	}
	for topic, n := range sent {
		if n -= failed[topic]; n > 0 {
			p.observer.Sent(topic, n, nil)
		}
	}
	for topic, n := range failed {
		p.observer.Sent(topic, n, err)
	}
}

// outgoing turns messages into the client's, with one allocation for all
// their headers.
func outgoing(messages []order.Message) []kafkago.Message {
	count := 0
	for i := range messages {
		count += len(messages[i].Headers)
	}
	headers := make([]kafkago.Header, 0, count)
	out := make([]kafkago.Message, len(messages))
	for i := range messages {
		m, first := &messages[i], len(headers)
		for _, h := range m.Headers {
			headers = append(headers, kafkago.Header(h))
		}
		out[i] = kafkago.Message{
			Topic:   m.Topic,
			Key:     m.Key,
			Value:   m.Value,
			Headers: headers[first:len(headers):len(headers)],
		}
	}
	return out
}

// incoming is a message as it was read.
func incoming(m *kafkago.Message) order.Message {
	headers := make([]order.Header, len(m.Headers))
	for i, h := range m.Headers {
		headers[i] = order.Header(h)
	}
	return order.Message{
		Topic:     m.Topic,
		Partition: m.Partition,
		Offset:    m.Offset,
		Key:       m.Key,
		Value:     m.Value,
		Headers:   headers,
		Time:      m.Time,
	}
}
