// Package ledger keeps the stock in a SQL database, through GORM: the levels,
// the orders and the movements between them. Each batch of requests is one
// transaction, and that transaction is where "at most once" and "never oversold"
// become true; everything around it may fail, repeat and overlap.
//
// MySQL 8.4 and later and MariaDB 10.11 and later are opened by [Open]; package
// ledger/sqlite opens the same ledger in a file.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/stock"
)

// Ledger is the stock in a database. It is safe for concurrent use.
type Ledger struct {
	db      *gorm.DB
	pool    *sql.DB
	slow    *sql.DB // for statements that may take minutes: migrations
	views   *sql.DB // for transactions whose reader may be silent for minutes
	dialect Dialect
	clock   func() time.Time
	crash   crash.Hook

	changed func([]stock.Level) // see OnChange; nil: nobody asked

	expectations expectations
	lookups      lookups
	patience     time.Duration
	wentAhead    func(Ahead) // see OnAhead; nil: nobody asked
	refused      func()      // see OnRefused; nil: nobody asked

	statements sync.Pool // of *statement: those of a large batch are hundreds of kilobytes
}

// Backend is an open database for [New].
type Backend struct {
	Dialect Dialect
	// Gorm is GORM's dialector over Pool.
	Gorm gorm.Dialector
	// Pool serves everything but migrations, snapshots and audits. See [Dialect.Snapshot] for the
	// isolation of its transactions.
	Pool *sql.DB
	// Slow serves migrations, which may take longer than Pool waits for an answer.
	Slow *sql.DB
	// Views serves snapshots and audits, which lock nothing: who reads them may be
	// silent for longer than Pool's sessions may. Nil means Pool.
	Views *sql.DB
	// Silence is how long the server bears a client inside a transaction that says
	// nothing; zero is for ever.
	Silence time.Duration
	// Clock tells the time that is recorded; nil means time.Now.
	Clock func() time.Time
}

// New returns a ledger over an open database and takes over closing it, also
// when it fails. Programs use [Open] or the sqlite package's.
func New(b Backend) (*Ledger, error) {
	db, err := gorm.Open(b.Gorm, &gorm.Config{
		// The ledger begins and ends its transactions itself: GORM's own would
		// hide whether an error came before COMMIT or from it.
		SkipDefaultTransaction:   true,
		DisableNestedTransaction: true,
		TranslateError:           true,
		PrepareStmt:              false,
		// Errors are returned; logging them here would tell them twice.
		Logger: logger.Discard,
	})
	l := &Ledger{db: db, pool: b.Pool, slow: b.Slow, views: b.Views, dialect: b.Dialect, clock: b.Clock}
	l.patience = mostPatience
	if b.Silence > 0 {
		l.patience = min(l.patience, b.Silence/2)
	}
	if l.clock == nil {
		l.clock = time.Now
	}
	if l.views == nil {
		l.views = l.pool
	}
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("open gorm: %w", err)
	}
	return l, nil
}

// ServeWorkers makes room for as many transactions of orders at once as there are
// workers. One that waited for a connection would keep its goods locked meanwhile,
// and its time would run. It is called before the ledger is used.
func (l *Ledger) ServeWorkers(workers int) {
	if most := ConnsFor(workers); most > DefaultMaxConns {
		l.pool.SetMaxOpenConns(most)
		l.pool.SetMaxIdleConns(most)
	}
}

// CrashAt has hook called at the points of every transaction. It is called
// before the ledger is used.
func (l *Ledger) CrashAt(hook crash.Hook) { l.crash = hook }

// OnChange has fn told of the levels that each transaction of this ledger leaves
// behind, after the commit and before the caller gets its answer; fn must not
// block. Where the commit's answer was lost, or the transaction failed, what is
// told has version 0: the level may be another one now. It is called before the
// ledger is used.
func (l *Ledger) OnChange(fn func([]stock.Level)) { l.changed = fn }

// OnAhead has fn told of each transaction that wrote before it had its levels
// locked, as soon as it has, or gives up; fn must not block. One that was ended by an
// error is not told. It is called before the ledger is used.
func (l *Ledger) OnAhead(fn func(Ahead)) { l.wentAhead = fn }

// OnRefused has fn told of each transaction that took a known order for new, before it is done
// again; fn must not block. It is called before the ledger is used.
func (l *Ledger) OnRefused(fn func()) { l.refused = fn }

// tell reports what a transaction that ended with err changed. One that was
// rolled back for certain is told too: it is rare, and costs a look.
func (l *Ledger) tell(c *stock.Changes, err error) {
	if l.changed == nil || len(c.Created)+len(c.Levels) == 0 {
		return
	}
	levels := slices.Concat(c.Created, c.Levels)
	if err != nil {
		for i := range levels {
			levels[i].Version = 0
		}
	}
	l.changed(levels)
}

// Dialect names the kind of server: mysql, mariadb or sqlite.
func (l *Ledger) Dialect() string { return l.dialect.Name }

// Ping reports whether the database answers. The error wraps
// [stock.ErrUnavailable] unless ctx ended.
func (l *Ledger) Ping(ctx context.Context) error {
	if err := l.pool.PingContext(ctx); err != nil {
		return fmt.Errorf("ping database: %w", l.translateBegin(ctx, err))
	}
	return nil
}

// Close closes all connections. Transactions in flight fail.
func (l *Ledger) Close() error {
	err := l.pool.Close()
	for _, pool := range []*sql.DB{l.slow, l.views} {
		if pool != nil && pool != l.pool {
			err = errors.Join(err, pool.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}
