package kafka

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"orderconsumer/internal/order"
)

const (
	// publishTries is how often a publication is tried before it answers. The
	// caller goes on trying; each answer lets it say what is wrong.
	publishTries = 3
	// publishRest is the wait before the second try. That before the third is four
	// times as long.
	publishRest = 100 * time.Millisecond
	// publishTimeout bounds one request.
	publishTimeout = 10 * time.Second
	// replicasTimeout is how long a broker may wait for the other replicas. It is
	// shorter, so that the broker says which partitions have what they were sent
	// before all of them count as not confirmed.
	replicasTimeout = publishTimeout / 2
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
	client   *Client
	observer SendObserver // may be nil

	mutex    sync.Mutex
	closed   bool
	underWay sync.WaitGroup
}

// NewPublisher returns a publisher. One is enough for a process.
func (c *Client) NewPublisher(observer SendObserver) *Publisher {
	return &Publisher{client: c, observer: observer}
}

// Close waits for what is being published, but not for ever: brokers that do not
// answer would hold up the exit for as long as the publisher goes on trying, and
// what was not confirmed by now is not acknowledged by anybody.
func (p *Publisher) Close() error {
	p.mutex.Lock()
	p.closed = true
	p.mutex.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.underWay.Wait()
	}()
	select {
	case <-done:
	case <-time.After(closeTimeout):
	}
	return nil
}

// enter is false when the publisher is closed.
func (p *Publisher) enter() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if !p.closed {
		p.underWay.Add(1)
	}
	return !p.closed
}

// Publish implements order.Publisher. Messages to one partition are appended in
// their order: behind one that is not confirmed nothing is sent to its partition.
// What is not confirmed comes back in its order, too.
//
// An error of ctx leaves it unknown whether a message was appended: the client
// does not take writes back. It may still be writing then, and also when a later try
// has been confirmed, so what messages refer to (keys, values, headers) must not be changed
// any more.
func (p *Publisher) Publish(ctx context.Context, messages []order.Message) (unconfirmed []order.Message, err error) {
	unconfirmed, err = p.publish(ctx, messages)
	p.observe(messages, unconfirmed, err)
	if err != nil {
		return unconfirmed, fmt.Errorf("%w: %d of %d messages, first to %s: %w",
			order.ErrPublish, len(unconfirmed), len(messages), unconfirmed[0].Topic, err)
	}
	return nil, nil
}

// publish tries until everything is confirmed or trying is of no use for now.
func (p *Publisher) publish(ctx context.Context, messages []order.Message) (unconfirmed []order.Message, err error) {
	if len(messages) == 0 {
		return nil, nil
	}
	if !p.enter() {
		return messages, io.ErrClosedPipe
	}
	defer p.underWay.Done()
	unconfirmed = messages
	for try, most := 1, requestBytes; ; try++ {
		var again bool
		unconfirmed, again, err = p.try(ctx, unconfirmed, most)
		// What does not get through at once may in pieces: something on the way may close
		// connections for large requests, or be too slow for them.
		most = oneSet
		// What the brokers said is worth more than that the wait was cut short.
		if !again || try == publishTries || sleep(ctx, time.Duration(try*try)*publishRest) != nil {
			return unconfirmed, err
		}
	}
}

// oneSet, as the most bytes of a request, has each set sent in a request of its own.
const oneSet = 0

// try sends every message once, in requests of at most so many bytes. It returns those that were not confirmed, in their
// order, and one of the reasons; again is true when another try may help any of
// them.
func (p *Publisher) try(ctx context.Context, messages []order.Message, most int) (unconfirmed []order.Message, again bool, err error) {
	lanes, err := p.client.lanes(ctx, messages)
	if err != nil {
		return messages, true, err
	}
	byLeader := make(map[int32][]*lane, 1)
	for i := range lanes {
		if l := &lanes[i]; l.open() {
			byLeader[l.leader] = append(byLeader[l.leader], l)
		}
	}
	var brokers sync.WaitGroup
	for _, its := range byLeader {
		if len(byLeader) == 1 {
			p.client.send(ctx, its, most)
			break
		}
		brokers.Go(func() { p.client.send(ctx, its, most) })
	}
	brokers.Wait()
	return leftOver(messages, lanes)
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
