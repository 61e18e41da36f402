// Package bench measures the consumer against the well-known ways of doing
// its work and against the database alone, on real servers, in one run.
package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"orderconsumer/internal/app"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/workload"
)

// Servers are where the benchmark runs.
type Servers struct {
	Kafka    app.KafkaSettings
	Redis    app.RedisSettings
	Database app.DatabaseSettings
}

// Shape is a workload in a topic, written before anything is measured.
type Shape struct {
	Name   string
	Config workload.Config

	topic  string
	events int
}

// plenty is how many times its demand there is of every goods: an order that
// is rejected writes less than one that is deducted, and the ways would be
// compared on different work.
const plenty = 10

// partitions of the benchmark's topics: several times the most instances.
const partitions = 12

// World is one run's connections and names.
type World struct {
	servers Servers
	client  *kafka.Client
	admin   *sql.DB
	log     *slog.Logger
	id      string
}

// Open connects to the servers.
func Open(servers Servers, log *slog.Logger) (*World, error) {
	client, err := servers.Kafka.Client("bench")
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(servers.Database.URL)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	password, _ := u.User.Password()
	admin, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/", u.User.Username(), password, u.Host))
	if err != nil {
		return nil, err
	}
	return &World{servers: servers, client: client, admin: admin, log: log, id: strings.ToLower(rand.Text()[:6])}, nil
}

// Close ends the connections.
func (w *World) Close() {
	w.client.Close()
	_ = w.admin.Close() // nothing is in flight
}

// writeBatch is how many messages are handed to the publisher at once.
const writeBatch = 5000

// Publish writes the shape's events into a topic of its own.
func (w *World) Publish(ctx context.Context, s *Shape) error {
	s.topic = fmt.Sprintf("bench-%s-%s", w.id, s.Name)
	_, err := w.client.EnsureTopics(ctx, []kafka.TopicSpec{
		{Name: s.topic, Partitions: partitions, Replication: 1},
	})
	if err != nil {
		return err
	}
	load, err := workload.New(s.Config)
	if err != nil {
		return err
	}
	publisher := w.client.NewPublisher(nil)
	batch := make([]order.Message, 0, writeBatch)
	flush := func() error {
		_, err := publisher.Publish(ctx, batch)
		s.events += len(batch)
		batch = batch[:0]
		return err
	}
	for item := range load.Events() {
		batch = append(batch, order.Message{Topic: s.topic, Key: item.Key, Value: item.Value})
		if len(batch) == writeBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return errors.Join(flush(), publisher.Close())
}

// database makes an empty, migrated and stocked database and returns its URL.
func (w *World) database(ctx context.Context, s *Shape) (_ string, drop func(), err error) {
	name := fmt.Sprintf("bench_%s_%d", w.id, time.Now().UnixNano())
	_, err = w.admin.ExecContext(ctx, "CREATE DATABASE "+name)
	if err != nil {
		return "", nil, fmt.Errorf("create database %s: %w", name, err)
	}
	drop = func() {
		_, err := w.admin.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+name)
		if err != nil {
			w.log.Warn("database left behind", "database", name, "error", err)
		}
	}
	u, err := url.Parse(w.servers.Database.URL)
	if err != nil {
		return "", drop, err
	}
	u.Path = "/" + name
	l, err := ledger.Open(ctx, ledger.Config{URL: u.String()})
	if err != nil {
		return "", drop, err
	}
	defer l.Close() //nolint:errcheck // opened for this function only
	_, err = l.Migrate(ctx)
	if err != nil {
		return "", drop, err
	}
	load, err := workload.New(s.Config)
	if err != nil {
		return "", drop, err
	}
	_, err = l.Import(ctx, ledger.Import{Mode: stock.Set, Lines: load.Expect().Stock(plenty)})
	return u.String(), drop, err
}
