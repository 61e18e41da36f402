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
	// publishBatch is the most messages in one request to one partition.
	publishBatch = 1000
	// publishBytes bounds one request. It is larger than the largest message
	// that may be read plus the headers a dead letter adds, or a message that
	// fitted the input could not be dead-lettered.
	publishBytes = 4 << 20
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
	observer SendObserver // may be nil
}

// NewPublisher returns a publisher. One is enough for a process.
func (c *Client) NewPublisher(observer SendObserver) *Publisher {
	return &Publisher{
		observer: observer,
		writer: &kafkago.Writer{
			Addr:      c.admin.Addr,
			Transport: c.transport,
			Balancer:  kafkago.Murmur2Balancer{},
			// The zero value is RequireNone, which confirms what no broker has
			// seen: a dead letter that is acknowledged and lost.
			RequiredAcks: kafkago.RequireAll,
			BatchTimeout: publishLinger,
			BatchSize:    publishBatch,
			BatchBytes:   publishBytes,
			MaxAttempts:  publishTries,
			WriteTimeout: publishTimeout,
			ReadTimeout:  publishTimeout,
		},
	}
}

// Close waits for what is being written and ends the publisher.
func (p *Publisher) Close() error { return p.writer.Close() }

// Publish implements order.Publisher. An error of ctx, too, leaves it unknown
// whether a message was appended: the client does not take writes back.
func (p *Publisher) Publish(ctx context.Context, messages []order.Message) (unconfirmed []order.Message, err error) {
	err = p.writer.WriteMessages(ctx, outgoing(messages)...)
	var each kafkago.WriteErrors
	switch {
	case err == nil:
	case errors.As(err, &each) && len(each) == len(messages):
		for i := range each {
			if each[i] != nil {
				unconfirmed = append(unconfirmed, messages[i])
				err = each[i]
			}
		}
	default:
		unconfirmed = messages
	}
	p.observe(messages, unconfirmed, err)
	if err != nil {
		return unconfirmed, fmt.Errorf("%w: %d of %d messages, first to %s: %w",
			order.ErrPublish, len(unconfirmed), len(messages), unconfirmed[0].Topic, err)
	}
	return nil, nil
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
