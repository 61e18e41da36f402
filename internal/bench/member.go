package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
)

// The one-by-one ways read and publish with the settings of the consumer.
const (
	fetchBytes    = 1 << 20
	fetchWait     = 500 * time.Millisecond
	fetchQueue    = 256
	commitEvery   = 200 * time.Millisecond
	commitTimeout = 3 * time.Second
	publishMost   = 1000
)

// seller answers one message with the outcome to publish.
type seller func(ctx context.Context, message *order.Message) (outcome order.Message, err error)

// errRebalanced: the group was to be this member's alone.
var errRebalanced = errors.New("the generation ended before everything was settled")

// member is the only one of its group. Its workers sell; the outcomes are
// published by one goroutine, as many at a time as there are, so that no worker
// waits for the log with a mutex free for the others; and only what the log has
// confirmed is done and may be committed.
type member struct {
	*measurement
	sell       seller
	generation *kafkago.Generation
	publisher  *kafka.Publisher
	marks      map[int]*progress // by partition
	incoming   chan order.Message
	sold       chan answer
	ended      chan struct{} // closed when the generation ends too early
	done       int           // settled; owned by the publishing goroutine
}

// answer is an outcome and the message it answers.
type answer struct {
	outcome   order.Message
	partition int
	offset    int64
}

// consume settles the topic as a member of a consumer group.
func (m *measurement) consume(ctx context.Context, sell seller) (_ Run, err error) {
	client, err := m.Servers.Kafka.Client("bench")
	if err != nil {
		return Run{}, err
	}
	defer client.Close()
	publisher := client.NewPublisher(nil)
	defer func() { err = errors.Join(err, publisher.Close()) }()
	group, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID:          m.Group,
		Brokers:     m.Servers.Kafka.Brokers,
		Topics:      []string{m.Topic},
		StartOffset: kafkago.FirstOffset,
		Timeout:     commitTimeout,
	})
	if err != nil {
		return Run{}, fmt.Errorf("join group %s: %w", m.Group, err)
	}
	defer func() { err = errors.Join(err, group.Close()) }()
	generation, err := group.Next(ctx)
	if err != nil {
		return Run{}, fmt.Errorf("join group %s: %w", m.Group, err)
	}
	c := &member{
		measurement: m,
		sell:        sell,
		generation:  generation,
		publisher:   publisher,
		marks:       make(map[int]*progress),
		incoming:    make(chan order.Message, workers),
		sold:        make(chan answer, publishMost),
		ended:       make(chan struct{}),
	}
	settled := make(chan struct{})
	generation.Start(func(ctx context.Context) {
		// The generation, and with it the right to commit, lasts for as long as
		// this function does.
		select {
		case <-settled:
		case <-ctx.Done():
			close(c.ended)
		}
	})
	err = c.run(ctx)
	run := m.meter.end(m.Events)
	close(settled)
	return run, err
}

// run settles and commits all events.
func (c *member) run(ctx context.Context) error {
	for _, p := range c.generation.Assignments[c.Topic] {
		c.marks[p.ID] = newProgress(max(p.Offset, 0))
	}
	group, ctx := errgroup.WithContext(ctx)
	// Reading and selling end when all is published, or with the first error.
	reading, stop := context.WithCancel(ctx)
	defer stop()
	for partition := range c.marks {
		group.Go(func() error { return c.read(reading, partition) })
	}
	for range workers {
		group.Go(func() error { return c.work(ctx, reading) })
	}
	published := make(chan struct{})
	group.Go(func() error {
		defer stop()
		err := c.publish(ctx)
		if err == nil {
			close(published)
		}
		return err
	})
	group.Go(func() error { return c.commitUntil(ctx, published) })
	return group.Wait()
}

// read hands over one partition's messages until ctx ends.
func (c *member) read(ctx context.Context, partition int) error {
	reader := kafkago.NewReader(kafkago.ReaderConfig{
		Brokers: c.Servers.Kafka.Brokers, Topic: c.Topic, Partition: partition,
		MinBytes: 1, MaxBytes: fetchBytes, MaxWait: fetchWait, QueueCapacity: fetchQueue, ReadLagInterval: -1,
	})
	defer reader.Close() //nolint:errcheck // nothing is lost with a reader's connection
	err := reader.SetOffset(c.marks[partition].committable())
	if err != nil {
		return fmt.Errorf("read %s/%d: %w", c.Topic, partition, err)
	}
	for {
		m, err := reader.FetchMessage(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", c.Topic, partition, err)
		}
		c.meter.begin()
		c.marks[partition].begin(m.Offset)
		message := order.Message{
			Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Key: m.Key, Value: m.Value, Time: m.Time,
		}
		select {
		case c.incoming <- message:
		case <-ctx.Done():
			return nil
		}
	}
}

// work sells until everything has been published.
func (c *member) work(ctx, reading context.Context) error {
	for {
		select {
		case message := <-c.incoming:
			outcome, err := c.sell(ctx, &message)
			if err != nil {
				return err
			}
			select {
			case c.sold <- answer{outcome: outcome, partition: message.Partition, offset: message.Offset}:
			case <-ctx.Done():
				return nil
			}
		case <-reading.Done():
			return nil
		}
	}
}

// publish publishes the outcomes of all events, as many at once as there are.
func (c *member) publish(ctx context.Context) error {
	answers := make([]answer, 0, publishMost)
	outcomes := make([]order.Message, 0, publishMost)
	for c.done < c.Events {
		select {
		case a := <-c.sold:
			answers, outcomes = append(answers[:0], a), append(outcomes[:0], a.outcome)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for len(answers) < publishMost && len(c.sold) > 0 {
			a := <-c.sold
			answers, outcomes = append(answers, a), append(outcomes, a.outcome)
		}
		_, err := c.publisher.Publish(ctx, outcomes)
		if err != nil {
			return err
		}
		for _, a := range answers {
			c.marks[a.partition].finish(a.offset)
		}
		c.done += len(answers)
	}
	return nil
}

// commitUntil commits what has been published, every so often and at the end.
func (c *member) commitUntil(ctx context.Context, published <-chan struct{}) error {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-published:
			return c.commit()
		case <-c.ended:
			return errRebalanced
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := c.commit(); err != nil {
			return err
		}
	}
}

func (c *member) commit() error {
	offsets := make(map[int]int64)
	for partition, mark := range c.marks {
		if offset := mark.committable(); offset > 0 {
			offsets[partition] = offset
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	err := c.generation.CommitOffsets(map[string]map[int]int64{c.Topic: offsets})
	if err != nil {
		return fmt.Errorf("commit offsets of group %s: %w", c.Group, err)
	}
	return nil
}

// progress knows the contiguous run of finished offsets of one partition.
type progress struct {
	mu      sync.Mutex
	pending []int64 // begun and not below next, ascending
	done    map[int64]bool
	next    int64
}

func newProgress(start int64) *progress {
	return &progress{done: make(map[int64]bool), next: start}
}

func (p *progress) begin(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = append(p.pending, offset)
}

func (p *progress) finish(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done[offset] = true
	for len(p.pending) > 0 && p.done[p.pending[0]] {
		delete(p.done, p.pending[0])
		p.next = p.pending[0] + 1
		p.pending = p.pending[1:]
	}
}

// committable is the offset below which everything is finished.
func (p *progress) committable() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next
}
