// Package embedded runs the servers an order consumer needs inside this
// process: a Kafka and a Redis that speak the real protocols, and a folder for
// a SQLite database. They are for the demo and for tests; the programs that
// are run for real do not link them.
package embedded

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"
)

// DatabaseScheme begins the URL of a SQLite database; the rest is its path.
const DatabaseScheme = "sqlite://"

// Config says where the servers listen and keep their data.
type Config struct {
	// KafkaPort and RedisPort on 127.0.0.1; zero takes any free one.
	KafkaPort int
	RedisPort int
	// Folder for the database file; it must exist.
	Folder string
}

// Servers are running until Close.
type Servers struct {
	Brokers     []string
	RedisURL    string
	DatabaseURL string

	// Kafka and Redis are the servers themselves, for tests that make them
	// fail.
	Kafka *kfake.Cluster
	Redis *miniredis.Miniredis
}

// Start runs the servers.
func Start(cfg Config) (*Servers, error) {
	kafka, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(cfg.KafkaPort),
		kfake.DefaultNumPartitions(1),
	)
	if err != nil {
		return nil, fmt.Errorf("start kafka on port %d: %w", cfg.KafkaPort, err)
	}
	redis := miniredis.NewMiniRedis()
	err = redis.StartAddr(net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.RedisPort)))
	if err != nil {
		kafka.Close()
		return nil, fmt.Errorf("start redis on port %d: %w", cfg.RedisPort, err)
	}
	return &Servers{
		Brokers:     kafka.ListenAddrs(),
		RedisURL:    "redis://" + redis.Addr() + "/0",
		DatabaseURL: DatabaseScheme + filepath.Join(cfg.Folder, "shop.db"),
		Kafka:       kafka,
		Redis:       redis,
	}, nil
}

// Close ends the servers. What they held is gone, but for the database.
func (s *Servers) Close() {
	s.Redis.Close()
	s.Kafka.Close()
}

// PortFree reports whether a port of 127.0.0.1 can be listened on.
func PortFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// TempFolder is a new folder for one run's data.
func TempFolder() (string, error) {
	folder, err := os.MkdirTemp("", "order-consumer-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the data: %w", err)
	}
	return folder, nil
}
