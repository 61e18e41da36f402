package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/stock/ledger"
)

const (
	// partitions of the benchmark's topics: several times the most instances.
	partitions = 12
	// level is how many there are of every goods, more than are ever wanted: an
	// order that is rejected writes less than one that is deducted, and the
	// ways would be compared on different work.
	level = 1_000_000_000
	// writeBatch is how many messages are handed to the publisher at once.
	writeBatch = 10_000
	// cleanTimeout bounds the removal of what a measurement made, which is done
	// even when the benchmark is told to stop.
	cleanTimeout = time.Minute
)

// Measurer carries out one measurement: [InProcess], or in tests [Measure].
type Measurer func(ctx context.Context, spec Spec) (Run, error)

// Config is what a benchmark runs on.
type Config struct {
	Servers Servers
	Measure Measurer
	// Say is told what is under way.
	Say func(format string, args ...any)
	// Statements asks the database what it spent on which statements. Its list
	// of them is emptied before each measurement.
	Statements bool
}

// World is the servers and what the benchmark has made on them.
type World struct {
	servers        Servers
	measure        Measurer
	say            func(format string, args ...any)
	tellStatements bool
	processes      Processes
	settings       ledger.Settings
	client         *kafka.Client
	admin          *sql.DB
	id             string
	made           int // databases and groups so far
	topics         map[string]topic
	stocks         map[int]string // databases that are copied, by number of goods
}

// Open connects to the servers. It refuses a database that answers a commit
// before it is durable: figures of such a one are of another program.
func Open(ctx context.Context, cfg Config) (_ *World, err error) {
	w := &World{
		servers:        cfg.Servers,
		measure:        cfg.Measure,
		say:            cfg.Say,
		tellStatements: cfg.Statements,
		id:             strings.ToLower(rand.Text()[:6]),
		topics:         make(map[string]topic),
		stocks:         make(map[int]string),
	}
	w.processes, err = processesOf(w.servers)
	if err != nil {
		return nil, err
	}
	w.settings, err = durable(ctx, w.servers.DatabaseURL)
	if err != nil {
		return nil, err
	}
	w.client, err = w.servers.Kafka.Client("bench")
	if err != nil {
		return nil, err
	}
	_, err = w.client.Ping(ctx)
	if err != nil {
		w.client.Close()
		return nil, err
	}
	w.admin, err = administration(w.servers.DatabaseURL)
	if err != nil {
		w.client.Close()
		return nil, err
	}
	return w, nil
}

// administration is the server of a URL without its database, for what takes
// longer than a transaction may.
func administration(target string) (*sql.DB, error) {
	cfg, err := serverOf(target)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure connection to %s: %w", cfg.Addr, err)
	}
	return sql.OpenDB(connector), nil
}

// serverOf is how the server of a URL is reached, and nothing else of the URL.
func serverOf(target string) (*mysql.Config, error) {
	of, err := ledger.Driver(target)
	if err != nil {
		return nil, err
	}
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd = of.Net, of.Addr, of.User, of.Passwd
	cfg.TLS, cfg.TLSConfig = of.TLS, of.TLSConfig
	return cfg, nil
}

// durable are the database's settings, if a commit that it answers is kept.
func durable(ctx context.Context, target string) (ledger.Settings, error) {
	l, err := ledger.Open(ctx, ledger.Config{URL: target})
	if err != nil {
		return ledger.Settings{}, err
	}
	defer l.Close() //nolint:errcheck // opened for this function only
	s, err := l.Settings(ctx)
	if err != nil {
		return s, err
	}
	if s.FlushLogAtCommit != "1" || s.LogBin == "ON" && s.SyncBinlog != "1" {
		return s, fmt.Errorf("the database's commits are not durable: innodb_flush_log_at_trx_commit=%s sync_binlog=%s, want 1 and 1",
			s.FlushLogAtCommit, s.SyncBinlog)
	}
	return s, nil
}

// About is one line about the machine and the database.
func (w *World) About() string {
	return fmt.Sprintf("%d processors, %s %s/%s, %s %s with log_bin=%s, durable commits",
		runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, w.settings.Dialect, w.settings.Version, w.settings.LogBin)
}

// processesOf finds the servers on this machine.
func processesOf(s Servers) (Processes, error) {
	database, err := hostOf(s.DatabaseURL)
	if err != nil {
		return Processes{}, fmt.Errorf("DATABASE_URL: %w", err)
	}
	redis, err := hostOf(s.RedisURL)
	if err != nil {
		return Processes{}, fmt.Errorf("REDIS_URL: %w", err)
	}
	return Processes{
		Database: listeners([]string{database}),
		Broker:   listeners(s.Kafka.Brokers),
		Redis:    listeners([]string{redis}),
	}, nil
}

// defaultPorts are those of URLs that name none.
var defaultPorts = map[string]string{"mysql": "3306", "mariadb": "3306", "redis": "6379", "rediss": "6379"}

// hostOf is the host:port of a URL; no error shows what else is in it.
func hostOf(target string) (string, error) {
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("want scheme://host:port, with user and path where there are any")
	}
	port := u.Port()
	if port == "" {
		port = defaultPorts[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// Close removes what is left of what was made and ends the connections.
func (w *World) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), cleanTimeout)
	defer cancel()
	var names []string
	for _, t := range w.topics {
		names = append(names, t.name)
	}
	if len(names) > 0 {
		w.clean(w.client.DeleteTopics(ctx, names))
	}
	for _, name := range w.stocks {
		w.drop(ctx, name)
	}
	w.client.Close()
	_ = w.admin.Close() // nothing is in flight
}

// clean says what could not be removed. The benchmark's figures are none the
// worse for it.
func (w *World) clean(err error) {
	if err != nil {
		w.say("left behind: %v", err)
	}
}
