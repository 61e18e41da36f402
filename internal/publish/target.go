package publish

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
)

// TargetSettings say where events are published, and how hard it is tried.
type TargetSettings struct {
	Kafka      settings.Kafka  `embed:""`
	Topic      string          `env:"ORDERS_TOPIC" default:"orders" help:"Topic to publish to."`
	Create     bool            `help:"Create the topic if it does not exist."`
	Topics     settings.Topics `embed:""`
	Source     string          `env:"ORDERS_SOURCE" default:"/producer" help:"Where the events come from: header ce_source."`
	Rate       float64         `env:"PUBLISH_RATE" default:"0" help:"Most events per second; 0 for as many as there can be."`
	Timeout    time.Duration   `env:"PUBLISH_TIMEOUT" default:"30s" help:"How long to try without anything being confirmed."`
	FailedFile string          `type:"path" env:"PUBLISH_FAILED_FILE" help:"File that takes, byte for byte, what was not delivered; it is appended to. Default: the input's name and .failed.jsonl or .failed.csv."`
}

// target is a topic that is there.
type target struct {
	client    *kafka.Client
	publisher *kafka.Publisher
}

// check refuses what makes no sense, also for events that are only printed.
func (t *TargetSettings) check() error {
	if t.Rate < 0 || math.IsNaN(t.Rate) {
		return cli.Usage("--rate is %v, must be at least 0", t.Rate)
	}
	if t.Timeout <= 0 {
		return cli.Usage("--timeout is %s, must be more than 0", t.Timeout)
	}
	return nil
}

// open makes sure that the topic can be published to.
func (t *TargetSettings) open(ctx context.Context, s *cli.Session) (*target, error) {
	err := t.check()
	if err != nil {
		return nil, err
	}
	client, err := t.Kafka.Client(s.Name)
	if err != nil {
		return nil, cli.Usage("%w", err)
	}
	err = t.ensure(ctx, client)
	if err != nil {
		client.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return &target{client: client, publisher: client.NewPublisher(nil)}, nil
}

// checkFailedFile refuses a failed file that is named and cannot be written.
func (t *TargetSettings) checkFailedFile() error {
	if t.FailedFile == "" {
		return nil
	}
	return (&failedFile{path: t.FailedFile}).check()
}

// ensure finds the topic, or creates it.
func (t *TargetSettings) ensure(ctx context.Context, client *kafka.Client) error {
	reach, cancel := context.WithTimeout(ctx, settings.ReachTimeout)
	found, err := client.Partitions(reach, []string{t.Topic})
	if err == nil && len(found[t.Topic]) == 0 {
		err = client.MaySee(reach, []string{t.Topic})
		if t.Create && kafka.Denied(err) {
			err = nil // who may create a topic need not see its settings
		}
	}
	cancel()
	switch {
	case err != nil:
		return t.notServed(client, err)
	case len(found[t.Topic]) > 0:
		return nil
	case !t.Create:
		return &cli.Failure{
			Code: cli.ExitFailed,
			Err:  fmt.Errorf("topic %s at %s does not exist, or has partitions without a leader", t.Topic, strings.Join(client.Brokers(), ", ")),
			Try:  "go run ./cmd/consumer run, which creates its topics, or this command with --create --partitions " + fmt.Sprint(t.Topics.Partitions),
		}
	}
	creating, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	_, err = client.EnsureTopics(creating, []kafka.TopicSpec{{
		Name:        t.Topic,
		Partitions:  t.Topics.Partitions,
		Replication: t.Topics.Replication,
	}})
	return err
}

// notServed is the failure of brokers that do not answer, or not us.
func (t *TargetSettings) notServed(client *kafka.Client, err error) error {
	at := strings.Join(client.Brokers(), ", ")
	fix, there := t.Kafka.Fix(err)
	if there {
		return &cli.Failure{Code: cli.ExitFailed, Err: fmt.Errorf("not served by Kafka at %s: %w", at, err), Try: fix}
	}
	return &cli.Failure{
		Code: cli.ExitUnreachable,
		Err:  fmt.Errorf("no answer from Kafka at %s: %w", at, err),
		Try:  "scripts/servers up, and set KAFKA_BROKERS to what it prints",
	}
}

// close ends the publisher. It waits for requests that are still under way,
// but not when it has been told to abort: their answer is of no use any more.
func (t *target) close(abort context.Context) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = t.publisher.Close() // every answer has been given already
	}()
	select {
	case <-closed:
	case <-abort.Done():
	}
	t.client.Close()
}

// message is an event on its way: keyed by its order, with the headers of a
// CloudEvent in binary mode. What the event does not say, they do not say.
func (t *TargetSettings) message(e order.Event, value []byte) order.Message {
	headers := make([]order.Header, 0, 6)
	add := func(key, value string) {
		if value != "" {
			headers = append(headers, order.Header{Key: key, Value: []byte(value)})
		}
	}
	if e.ID != "" && e.Type != "" {
		add(order.HeaderSpecVersion, "1.0")
		add(order.HeaderID, e.ID)
		add(order.HeaderType, string(e.Type))
		add(order.HeaderSource, t.Source)
		if !e.OccurredAt.IsZero() {
			add(order.HeaderTime, e.OccurredAt.UTC().Format(order.TimeFormat))
		}
	}
	add(order.HeaderContentType, "application/json")
	m := order.Message{Topic: t.Topic, Value: value, Headers: headers}
	if e.OrderID != "" {
		m.Key = []byte(e.OrderID)
	}
	return m
}

// limited yields no more than rate events per second, until ctx ends. Nothing
// is limited by a rate of zero.
func limited(ctx context.Context, events iter.Seq[parcel], perSecond float64) iter.Seq[parcel] {
	if perSecond == 0 {
		return events
	}
	// What a busy machine missed may be caught up with, a tenth of a second of it.
	limiter := rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10)))
	return func(yield func(parcel) bool) {
		for p := range events {
			if limiter.Wait(ctx) != nil || !yield(p) {
				return
			}
		}
	}
}
