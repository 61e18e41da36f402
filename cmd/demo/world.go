package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"orderconsumer/internal/embedded"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/telemetry"
)

// ports are those of this machine that a shop would like to have; for zero, and
// in the place of one that is taken, it takes any.
type ports struct{ kafka, redis, http int }

// usualPorts are where the programs look when they are told nothing.
var usualPorts = ports{kafka: 9092, redis: 6379, http: 8080}

// noHTTP: the consumer has no API.
const noHTTP = -1

// anyHTTP is an address of this machine on any free port.
const anyHTTP = "localhost:0"

// Settings of the demo's consumers that differ from the usual ones.
const (
	// partitions: enough for a few instances to share; each costs a reader in
	// every topic.
	partitions = 6
	// sessionTimeout is the shortest that a busy machine bears: whoever kills
	// an instance wants to see the others take over.
	sessionTimeout = 6 * time.Second
	drainTimeout   = 3 * time.Second
	// commitEvery bounds how long after its end an order counts as settled.
	commitEvery = 100 * time.Millisecond
)

// retryAfter are tiers that can be waited for.
var retryAfter = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

// settingsAt are the settings of a consumer that belongs to the demo at w. All
// of a demo's instances must have the same.
func settingsAt(w *whereabouts) (settings.Consumer, error) {
	s, err := settings.DefaultConsumer()
	if err != nil {
		return s, err
	}
	s.Kafka.Brokers = w.Brokers
	s.Redis.URLs = []string{w.RedisURL}
	s.Database.URL = w.DatabaseURL
	s.Group.RetryAfter = retryAfter
	s.Topics.Partitions = partitions
	// Off: whoever tries what the consumer does with nonsense, or with goods that
	// this shop does not have, must not find the shop closed.
	s.Flow.MaxDeadRatio = 0
	s.Member.SessionTimeout = sessionTimeout
	s.Member.DrainTimeout = drainTimeout
	s.Member.CommitEvery = commitEvery
	s.HTTP = w.API
	return s, nil
}

// world is what a shop runs on: servers in this process, and connections to
// them.
type world struct {
	whereabouts
	servers   *embedded.Servers
	settings  settings.Consumer
	topics    order.Topics
	logFile   *os.File
	log       *slog.Logger
	ledger    *ledger.Ledger
	client    *kafka.Client
	publisher *kafka.Publisher
}

// openWorld starts the servers.
func openWorld(ctx context.Context, p ports) (_ *world, err error) {
	w := &world{whereabouts: whereabouts{PID: os.Getpid(), StartedAt: time.Now().UTC()}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	w.Folder, err = embedded.TempFolder()
	if err != nil {
		return nil, err
	}
	w.servers, err = startServers(w.Folder, p)
	if err != nil {
		return nil, err
	}
	w.Brokers, w.RedisURL, w.DatabaseURL = w.servers.Brokers, w.servers.RedisURL, w.servers.DatabaseURL
	w.API = p.httpAddr()
	w.settings, err = settingsAt(&w.whereabouts)
	if err != nil {
		return nil, err
	}
	g := w.settings.Group
	w.topics = order.NewTopics(g.Topic, g.Group, g.RetryAfter)
	w.logFile, err = os.Create(w.logPath())
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	w.log = telemetry.NewLogger(w.logFile, telemetry.LogConfig{Format: telemetry.LogText})
	w.client = kafka.Connect(kafka.Config{Brokers: w.Brokers, ClientID: "demo"})
	w.publisher = w.client.NewPublisher(nil)
	w.ledger, err = openLedger(ctx, w.DatabaseURL)
	if err != nil {
		return nil, err
	}
	_, err = w.ledger.Migrate(ctx)
	return w, err
}

// startServers tries the wanted ports first. Between the look at a port and its
// use another program may take it: then any will do.
func startServers(folder string, p ports) (*embedded.Servers, error) {
	anywhere := embedded.Config{Folder: folder}
	cfg := anywhere
	if embedded.PortFree(p.kafka) {
		cfg.KafkaPort = p.kafka
	}
	if embedded.PortFree(p.redis) {
		cfg.RedisPort = p.redis
	}
	servers, err := embedded.Start(cfg)
	if err != nil && cfg != anywhere {
		servers, err = embedded.Start(anywhere)
	}
	return servers, err
}

func (p ports) httpAddr() string {
	switch {
	case p.http == noHTTP:
		return ""
	case embedded.PortFree(p.http):
		return fmt.Sprintf("localhost:%d", p.http)
	default:
		return anyHTTP
	}
}

// logPath is where the consumer's log goes: on the terminal it would be in the
// way.
func (w *world) logPath() string { return filepath.Join(w.Folder, "consumer.log") }

// close ends everything. The folder stays.
func (w *world) close() {
	var errs []error
	if w.publisher != nil {
		errs = append(errs, w.publisher.Close())
	}
	if w.ledger != nil {
		errs = append(errs, w.ledger.Close())
	}
	if w.client != nil {
		w.client.Close()
	}
	if w.servers != nil {
		w.servers.Close()
	}
	if err := errors.Join(errs...); err != nil {
		w.log.Warn("connections not closed cleanly", "error", err)
	}
	if w.logFile != nil {
		_ = w.logFile.Close() // the log has been read, or never will be
	}
}

// publishRest is the wait before what was not confirmed is published again.
const publishRest = 100 * time.Millisecond

// publish goes on until every message is confirmed or ctx ends. What is
// published twice by that is told apart by its ids.
func (w *world) publish(ctx context.Context, messages []order.Message) error {
	for {
		unconfirmed, err := w.publisher.Publish(ctx, messages)
		if err == nil {
			return nil
		}
		messages = unconfirmed
		select {
		case <-ctx.Done():
			return fmt.Errorf("publish orders: %w", err)
		case <-time.After(publishRest):
		}
	}
}
