package faultsuite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql" // side sessions that kill, lock and freeze

	"orderconsumer/internal/drill"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/workload"
)

// Config is what a suite runs on.
type Config struct {
	Servers *Servers
	// Client reaches the brokers directly.
	Client *kafka.Client
	// Brokers, RedisURLs and DatabaseURL are how consumers reach the servers when
	// nothing stands between. The database's user may do everything.
	Brokers     []string
	RedisURLs   []string
	DatabaseURL string
	// Consumer is the program.
	Consumer string
	// Logs is a folder for what consumers say.
	Logs string
	// Seed makes the orders; zero stands for a random one for each row.
	Seed uint64
	// Rate is how many orders a second come in, where a row does not say.
	Rate float64
	// For is how long the long rows go on.
	For time.Duration
	// AtOnce is how many playings of a row there are at the same time; zero stands
	// for one.
	AtOnce int
	// Say is told what is under way.
	Say func(format string, args ...any)
}

// Suite plays rows.
type Suite struct {
	Config
	admin *sql.DB
}

// New opens a suite; Close gives back what it holds.
func New(cfg Config) (*Suite, error) {
	of, err := ledger.Driver(cfg.DatabaseURL)
	if err != nil {
		return nil, err
	}
	server := mysql.NewConfig()
	server.Net, server.Addr, server.User, server.Passwd, server.Timeout = of.Net, of.Addr, of.User, of.Passwd, of.Timeout
	server.TLS, server.TLSConfig = of.TLS, of.TLSConfig
	connector, err := mysql.NewConnector(server)
	if err != nil {
		return nil, fmt.Errorf("configure connection to %s: %w", server.Addr, err)
	}
	admin := sql.OpenDB(connector)
	err = os.MkdirAll(cfg.Logs, 0o755)
	if err != nil {
		return nil, fmt.Errorf("make a folder for logs: %w", err)
	}
	return &Suite{Config: cfg, admin: admin}, nil
}

// Close gives back what the suite holds.
func (s *Suite) Close() { _ = s.admin.Close() }

// ErrNotHere is wrapped by the error of Check when the machine is to blame, not the
// servers.
var ErrNotHere = errors.New("this machine does not let it be played")

// ErrAlone is wrapped by the error of Check for a row that cannot be played several
// times at once.
var ErrAlone = errors.New("it has a server to itself, and can be played once at a time")

// Check says why a row cannot be played on these servers; nil if it can.
func (s *Suite) Check(ctx context.Context, row Row) error {
	switch {
	case row.Elsewhere != "":
		return fmt.Errorf("row %s cannot be played here: %s", row.Name, row.Elsewhere)
	case row.Brokers != 0 && row.Brokers != len(s.Brokers):
		return fmt.Errorf("row %s needs %d brokers, there are %d; next: scripts/servers down --purge kafka kafka2 kafka3; scripts/servers up --kafka-brokers %d",
			row.Name, row.Brokers, len(s.Brokers), row.Brokers)
	case row.Disk != "" && s.AtOnce > 1:
		return fmt.Errorf("row %s, %d times at once: %w", row.Name, s.AtOnce, ErrAlone)
	case row.Disk != "":
		if err := s.Servers.Mountable(ctx); err != nil {
			return fmt.Errorf("row %s: %w: %w", row.Name, ErrNotHere, err)
		}
	}
	return nil
}

// settings of the consumers of every row.
const (
	session     = 6 * time.Second
	drain       = 3 * time.Second
	lockExpiry  = 3 * time.Second
	settleFor   = 3 * time.Minute // the backlog must be gone by then
	restartGoal = 5 * time.Second
	stopGoal    = 2 * time.Second
	silence     = 5 * time.Second // that the database bears
	lockWait    = 3 * time.Second
	takeover    = session + time.Second
)

func retryAfter() []time.Duration {
	return []time.Duration{time.Second, 3 * time.Second, 8 * time.Second}
}

// Play plays one row and looks at what became of it. The servers are whole
// again when it returns, whatever happened.
func (s *Suite) Play(ctx context.Context, row Row) *Result {
	result := &Result{Number: row.Number, Row: row.Name, At: time.Now().UTC().Truncate(time.Second), Seed: s.seed()}
	err := s.playOn(ctx, row, result)
	if err != nil {
		result.Error = err.Error()
	}
	result.Took = time.Since(result.At)
	return result
}

func (s *Suite) seed() uint64 {
	if s.Seed != 0 {
		return s.Seed
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1<<40))
	if err != nil {
		return uint64(time.Now().UnixNano())
	}
	return n.Uint64()
}

// replication of the topics of a row: with three brokers each record is kept
// twice before it is confirmed.
func (s *Suite) replication() int {
	if len(s.Brokers) < 3 {
		return 1
	}
	return 3
}

// playOn plays a row on the database it wants.
func (s *Suite) playOn(ctx context.Context, row Row, result *Result) (err error) {
	if row.Disk == "" {
		return s.play(ctx, row, result)
	}
	// A suite that was killed has left its own behind, used and full.
	err = s.Servers.Purge(ctx, row.Disk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Servers.Purge(context.WithoutCancel(ctx), row.Disk)) }()
	err = s.Servers.Up(ctx, row.Disk)
	if err != nil {
		return err
	}
	at, err := s.Servers.address(row.Disk)
	if err != nil {
		return err
	}
	other := *s
	other.DatabaseURL = withAddress(s.DatabaseURL, at)
	return other.play(ctx, row, result)
}

func (s *Suite) play(ctx context.Context, row Row, result *Result) (err error) {
	set := row.setting.withDefaults()
	name := "faults-" + strings.ToLower(rand.Text()[:8])
	place, err := drill.Open(ctx, drill.PlaceConfig{
		Client: s.Client, Open: openLedger, DatabaseURL: s.DatabaseURL, Name: name,
		Partitions: set.partitions, Replication: s.replication(), RetryAfter: retryAfter(),
	})
	if err != nil {
		return err
	}
	config := workload.Config{
		Orders: set.orders, Goods: set.goods, Skew: 1.1, Seed: result.Seed,
		DuplicateShare: set.duplicates, BrokenShare: set.broken, CancelShare: set.cancelled,
	}
	if set.oneLine {
		config.LinesMin, config.LinesMax, config.NumMax = 1, 1, 1
	}
	a := &act{Suite: s, place: place, result: result, setting: set, made: config, logs: filepath.Join(s.Logs, row.Name+"-"+name)}
	result.Logs = a.logs
	defer func() { err = errors.Join(err, a.end(ctx)) }()
	a.load, err = place.NewLoad(ctx, config, set.share)
	if err != nil {
		return err
	}
	a.watch(ctx)
	err = row.play(ctx, a)
	if err != nil {
		return errors.Join(err, a.finish(ctx))
	}
	return a.finish(ctx)
}

func openLedger(ctx context.Context, url string) (*ledger.Ledger, error) {
	return ledger.Open(ctx, ledger.Config{URL: url})
}

// address of a server that a URL names.
func address(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}

// withAddress is the URL with another address.
func withAddress(text, host string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	u.Host = host
	return u.String()
}

// port is that of an address plus n.
func port(at string, n int) string {
	host, text, err := net.SplitHostPort(at)
	if err != nil {
		return at
	}
	number := 0
	_, _ = fmt.Sscan(text, &number) // a port that is none fails where it is used
	return net.JoinHostPort(host, fmt.Sprint(number+n))
}
