// Package drill lets consumers die on purpose and looks at what became of the
// orders: a place of its own on servers that are there (topics, a group, a
// database), consumers in processes of their own, a load, and the audit at the
// end. The drill for users and the fault suite are made of it.
package drill

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// cleanTimeout bounds the removal of what a place has made, which is done even
// when the drill was told to stop.
const cleanTimeout = 30 * time.Second

// OpenLedger opens the database of a URL.
type OpenLedger func(ctx context.Context, url string) (*ledger.Ledger, error)

// PlaceConfig says where a place is made, and how large.
type PlaceConfig struct {
	// Client reaches the brokers. It stays the caller's.
	Client *kafka.Client
	// Open opens databases.
	Open OpenLedger
	// DatabaseURL is where the database is made, by this URL's user. With Lent it
	// is the database itself, which must be empty and is emptied again.
	DatabaseURL string
	Lent        bool
	// Name begins the names of everything that is made, a-z, 0-9 and -.
	Name string
	// Partitions and Replication of the topics.
	Partitions, Replication int
	// RetryAfter are the delays of the retry tiers.
	RetryAfter []time.Duration
}

// Place is where a drill happens: nothing in it is anybody else's.
type Place struct {
	Client      *kafka.Client
	Ledger      *ledger.Ledger
	Group       string
	Topics      order.Topics
	DatabaseURL string

	cfg      PlaceConfig
	database string // that was made; empty if lent
}

// ErrMayNot is wrapped by the error of a user who may not make a database.
var ErrMayNot = errors.New("the database user may not create a database")

// ErrNotEmpty is wrapped by the error of a lent database that holds tables.
var ErrNotEmpty = errors.New("the database is not empty")

// Open makes a place. Remove takes it away.
func Open(ctx context.Context, cfg PlaceConfig) (_ *Place, err error) {
	p := &Place{Client: cfg.Client, Group: cfg.Name, cfg: cfg}
	p.Topics = order.NewTopics(cfg.Name, cfg.Name, cfg.RetryAfter)
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Remove(ctx))
		}
	}()
	err = p.openDatabase(ctx)
	if err != nil {
		return nil, err
	}
	_, err = p.Ledger.Migrate(ctx)
	if err != nil {
		return nil, err
	}
	_, err = cfg.Client.EnsureTopics(ctx, p.topicSpecs())
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Place) topicSpecs() []kafka.TopicSpec {
	var specs []kafka.TopicSpec
	for _, name := range p.Topics.All() {
		specs = append(specs, kafka.TopicSpec{Name: name, Partitions: p.cfg.Partitions, Replication: p.cfg.Replication})
	}
	return specs
}

// Restore makes topics again that were deleted.
func (p *Place) Restore(ctx context.Context) error {
	_, err := p.cfg.Client.EnsureTopics(ctx, p.topicSpecs())
	return err
}

// openDatabase makes the database, or takes the one that is lent.
func (p *Place) openDatabase(ctx context.Context) error {
	base, err := p.cfg.Open(ctx, p.cfg.DatabaseURL)
	if err != nil {
		return err
	}
	if p.cfg.Lent {
		tables, err := base.Tables(ctx)
		if err == nil && len(tables) > 0 {
			err = fmt.Errorf("%w: it holds %s", ErrNotEmpty, strings.Join(tables, ", "))
		}
		if err != nil {
			return errors.Join(err, base.Close())
		}
		p.Ledger, p.DatabaseURL = base, p.cfg.DatabaseURL
		return nil
	}
	defer base.Close() //nolint:errcheck // opened to make the other one
	name := strings.ReplaceAll(p.cfg.Name, "-", "_")
	err = base.CreateDatabase(ctx, name)
	switch {
	case errors.Is(err, stock.ErrUnavailable) || ctx.Err() != nil:
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrMayNot, err)
	}
	p.database = name
	p.DatabaseURL, err = beside(p.cfg.DatabaseURL, name)
	if err != nil {
		return err
	}
	p.Ledger, err = p.cfg.Open(ctx, p.DatabaseURL)
	return err
}

// beside is the URL of another database on the same server.
func beside(base, name string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", errors.New("database URL: not a URL") // the parser's own message quotes it, password and all
	}
	u.Path = "/" + name
	return u.String(), nil
}

// Remove takes everything away that was made. Consumers must have stopped.
func (p *Place) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	errs := []error{p.removeDatabase(ctx)}
	errs = append(errs, p.Client.DeleteTopics(ctx, p.Topics.All()), p.deleteGroup(ctx))
	return errors.Join(errs...)
}

// deleteGroup waits for members that were killed: to the brokers they are there
// until their session ends.
func (p *Place) deleteGroup(ctx context.Context) error {
	for {
		err := p.Client.DeleteGroup(ctx, p.Group)
		if err == nil || !rest(ctx, time.Second) {
			return err
		}
	}
}

func (p *Place) removeDatabase(ctx context.Context) error {
	if p.Ledger == nil {
		return nil
	}
	defer p.Ledger.Close() //nolint:errcheck // it is gone
	if p.database == "" {
		return p.Ledger.DropTables(ctx)
	}
	return p.Ledger.DropDatabase(ctx, p.database)
}

// Environment are the settings of a consumer that works here, for all that
// differs from the surroundings of the program.
func (p *Place) Environment() []string {
	delays := make([]string, len(p.cfg.RetryAfter))
	for i, d := range p.cfg.RetryAfter {
		delays[i] = d.String()
	}
	return []string{
		"DATABASE_URL=" + p.DatabaseURL, "ORDERS_GROUP=" + p.Group, "ORDERS_TOPIC=" + p.Topics.Input,
		"RETRY_AFTER=" + strings.Join(delays, ","), "LOCK_PREFIX=" + p.Group + ":{goods}:", "CACHE_PREFIX=" + p.Group + ":{level}:",
		fmt.Sprintf("TOPIC_PARTITIONS=%d", p.cfg.Partitions), fmt.Sprintf("TOPIC_REPLICATION=%d", p.cfg.Replication),
		"HTTP_ADDR=", "LOG_FORMAT=json", "CRASH_AT", "EXIT_AT_END", "MIGRATE",
	}
}
