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
	"sync"
	"time"

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

	closed chan struct{}
	aging  sync.WaitGroup
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
	s := &Servers{
		Brokers:     kafka.ListenAddrs(),
		RedisURL:    "redis://" + redis.Addr() + "/0",
		DatabaseURL: DatabaseScheme + filepath.Join(cfg.Folder, "shop.db"),
		Kafka:       kafka,
		Redis:       redis,
		closed:      make(chan struct{}),
	}
	s.aging.Go(s.age)
	return s, nil
}

// ageEvery is how precisely keys of the embedded Redis expire.
const ageEvery = 20 * time.Millisecond

// age lets keys expire. Left alone they never do, and the goods of an instance
// that was killed would stay locked for ever. The server could look at the
// clock itself, but would then go through all keys for every command.
func (s *Servers) age() {
	tick := time.NewTicker(ageEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case now := <-tick.C:
			s.Redis.FastForward(now.Sub(last))
			last = now
		case <-s.closed:
			return
		}
	}
}

// Close ends the servers. What they held is gone, but for the database.
func (s *Servers) Close() {
	close(s.closed)
	s.aging.Wait()
	s.Redis.Close()
	s.Kafka.Close()
}

// PortFree reports whether a port of 127.0.0.1 can be listened on, and nobody
// answers on it at localhost: some systems let a server have 127.0.0.1 while
// another has all addresses or ::1, and clients of localhost would reach that.
func PortFree(port int) bool {
	number := strconv.Itoa(port)
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", number))
	if err != nil {
		return false
	}
	if l.Close() != nil {
		return false
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("localhost", number), answerTimeout)
	if err == nil {
		_ = conn.Close() // nothing was said on it
	}
	return err != nil
}

// answerTimeout is how long a server on this machine may take to answer.
const answerTimeout = time.Second

// TempFolder is a new folder for one run's data.
func TempFolder() (string, error) {
	folder, err := os.MkdirTemp("", "order-consumer-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the data: %w", err)
	}
	return folder, nil
}
