package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/workload"
)

const (
	// writeTries is how often messages are sent that are not confirmed: a partition
	// that has just been made may have no leader that knows of it for a moment.
	writeTries = 20
	writeRest  = 250 * time.Millisecond
)

// topic is a workload that is written already.
type topic struct {
	name   string
	events int
	whole  bool
}

// written is a topic with the workload's events in it; it is kept until Close.
func (w *World) written(ctx context.Context, name string, config workload.Config) (topic, error) {
	key := fmt.Sprintf("%s-%d", name, config.Orders)
	if t, ok := w.topics[key]; ok {
		if !t.whole { // who reads it would wait for the rest for ever
			return t, fmt.Errorf("topic %s: not all orders could be written", t.name)
		}
		return t, nil
	}
	w.say("writing %d orders of shape %s", config.Orders, name)
	t := topic{name: fmt.Sprintf("bench-%s-%s", w.id, key)}
	_, err := w.client.EnsureTopics(ctx, []kafka.TopicSpec{{Name: t.name, Partitions: partitions, Replication: 1}})
	if err != nil {
		return t, err
	}
	w.topics[key] = t // it is there, and is to be removed
	t.events, err = w.publish(ctx, t.name, config)
	if err != nil {
		return t, err
	}
	t.whole = true
	w.topics[key] = t
	return t, nil
}

// publish writes the workload's events and returns how many there are.
func (w *World) publish(ctx context.Context, topic string, config workload.Config) (events int, err error) {
	load, err := workload.New(config)
	if err != nil {
		return 0, err
	}
	publisher := w.client.NewPublisher(nil)
	defer func() { err = errors.Join(err, publisher.Close()) }()
	batch := make([]order.Message, 0, writeBatch)
	for item := range load.Events() {
		batch = append(batch, order.Message{Topic: topic, Key: item.Key, Value: item.Value})
		if len(batch) < writeBatch {
			continue
		}
		if err := confirmed(ctx, publisher, batch); err != nil {
			return events, err
		}
		events += len(batch)
		batch = batch[:0]
	}
	err = confirmed(ctx, publisher, batch)
	return events + len(batch), err
}

// confirmed publishes messages until all of them are confirmed.
func confirmed(ctx context.Context, publisher *kafka.Publisher, messages []order.Message) error {
	for try := 1; ; try++ {
		left, err := publisher.Publish(ctx, messages)
		if err == nil || try == writeTries {
			return err
		}
		messages = left
		select {
		case <-time.After(writeRest):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
