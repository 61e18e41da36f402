// Package sqlite keeps the stock ledger in a file: the database of the demo and
// of tests, with nothing to install. It is right, but it has one writer at a
// time and no server: a shop runs on MySQL or MariaDB.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	gosqlite "github.com/glebarez/go-sqlite"
	gormsqlite "github.com/glebarez/sqlite"
	"github.com/pressly/goose/v3"
	"gorm.io/gorm"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// busyTimeout is how long a writer waits for the one before it.
	busyTimeout = 5 * time.Second

	// maxConns: writers take turns whatever this is; the others read.
	maxConns = 4
)

// Config says where the ledger is.
type Config struct {
	// Path is the database file; it is created when missing, with -wal and -shm
	// files beside it while open.
	Path string
	// Clock tells the time that is recorded; nil means time.Now.
	Clock func() time.Time
}

// Open opens or creates the file. The tables are made by Migrate.
func Open(ctx context.Context, cfg Config) (*ledger.Ledger, error) {
	if cfg.Path == "" {
		return nil, errors.New("open sqlite: no path")
	}
	// Writing transactions take the write lock at their start: taken later, two
	// that read first could not both go on. A commit is durable against a crash of
	// the process, not of the machine (synchronous NORMAL), and saves a sync.
	query := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
			"journal_mode(WAL)",
			"synchronous(NORMAL)",
		},
	}
	dsn := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: cfg.Path}).EscapedPath(), RawQuery: query.Encode()}).String()
	pool, err := sql.Open(gormsqlite.DriverName, dsn)
	if err != nil {
		return nil, fmt.Errorf("open sqlite %s: %w", cfg.Path, err)
	}
	pool.SetMaxOpenConns(maxConns)
	pool.SetMaxIdleConns(maxConns)
	if err := pool.PingContext(ctx); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("open sqlite %s: %w", cfg.Path, err)
	}
	return ledger.New(ledger.Backend{
		Dialect: dialect(),
		Gorm:    gormsqlite.Dialector{Conn: pool},
		Pool:    pool,
		Slow:    pool,
		Views:   pool,
		Clock:   cfg.Clock,
	})
}

// dialect is SQLite's way of saying things. The whole database is locked by a
// writing transaction, so no row needs to be.
func dialect() ledger.Dialect {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the path is embedded above
	}
	return ledger.Dialect{
		Name:            "sqlite",
		Snapshot:        sql.TxOptions{ReadOnly: true}, // begins deferred: reads beside a writer
		LockLevels:      ledger.KeyQuery{Open: "SELECT goods_id,available,version FROM stock WHERE goods_id IN(", Between: ",", Close: ")"},
		FindOrders:      ledger.KeyQuery{Open: "SELECT " + ledger.OrderColumns + " FROM orders WHERE order_id IN(", Between: ",", Close: ")"},
		LockOrders:      ledger.KeyQuery{Open: "SELECT " + ledger.OrderColumns + " FROM orders WHERE order_id IN(", Between: ",", Close: ")"},
		DeleteOrders:    ledger.KeyQuery{Open: "DELETE FROM orders WHERE order_id IN(", Between: ",", Close: ")"},
		DeleteMovements: ledger.KeyQuery{Open: "DELETE FROM movements WHERE ref IN(", Between: ",", Close: ") AND kind IN('deduct','release')"},
		Upsert:          ledger.Upsert{Clause: " ON CONFLICT DO UPDATE SET ", RefOpen: "excluded.", Counted: 1},
		Classify:        classify,
		Migrations:      files,
		Goose:           goose.DialectSQLite3,
		Exclusive:       again,
		Inspect:         inspect,
	}
}

// again is [ledger.Dialect.Exclusive]. Each migration is one transaction, so the
// loser of a race finds a table made already and starts again behind the winner.
func again(ctx context.Context, _ *sql.DB, fn func() error) (err error) {
	const attempts = 10 // more instances than this do not start on one file at once
	for range attempts {
		if err = fn(); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Result codes of SQLite, the low byte of what the driver reports.
const (
	codeBusy       = 5
	codeLocked     = 6
	codeReadonly   = 8
	codeIOErr      = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeCantOpen   = 14
	codeConstraint = 19
	codeNotADB     = 26
)

// classify is [ledger.Dialect.Classify]. A constraint is what another writer
// left behind between our read and our write, as on the servers.
func classify(err error, committing bool) error {
	reported, ok := errors.AsType[*gosqlite.Error](err)
	if committing || !ok {
		return nil
	}
	switch reported.Code() & 0xff {
	case codeBusy, codeLocked, codeConstraint:
		return stock.ErrBusy
	case codeReadonly, codeIOErr, codeCorrupt, codeFull, codeCantOpen, codeNotADB:
		return stock.ErrUnavailable
	}
	return nil
}

func inspect(_ context.Context, db *gorm.DB, s *ledger.Settings) error {
	return db.Raw("SELECT sqlite_version()").Row().Scan(&s.Version)
}
