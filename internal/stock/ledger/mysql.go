package ledger

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
	gormmysql "gorm.io/driver/mysql"
)

//go:embed migrations/mysql/*.sql
var mysqlMigrations embed.FS

// Open connects to a MySQL or MariaDB server and finds out which it is. It
// fails with an error that wraps [stock.ErrUnavailable] when the server does not
// answer or does not let us in. The tables are made by [Ledger.Migrate].
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	conf, err := cfg.driverConfig()
	if err != nil {
		return nil, err
	}
	maxConns := cfg.MaxConns
	if maxConns <= 0 {
		maxConns = DefaultMaxConns
	}
	pool, err := openPool(conf, maxConns)
	if err != nil {
		return nil, err
	}
	patient := conf.Clone()
	patient.ReadTimeout = slowReadTimeout
	patient.Params["wait_timeout"] = strconv.Itoa(silence(patient))
	slow, err := openPool(patient, slowConns)
	if err != nil {
		_ = pool.Close()
		return nil, err
	}
	viewed := conf.Clone()
	viewed.Params["wait_timeout"] = patient.Params["wait_timeout"]
	views, err := openPool(viewed, maxConns)
	if err != nil {
		_, _ = pool.Close(), slow.Close()
		return nil, err
	}

	var version string
	dialect := mysqlDialect()
	if err := pool.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		_, _, _ = pool.Close(), slow.Close(), views.Close()
		probe := &Ledger{dialect: dialect}
		return nil, fmt.Errorf("connect to database %s at %s as %s: %w", conf.DBName, conf.Addr, conf.User, probe.translateBegin(ctx, err))
	}
	if strings.Contains(version, "MariaDB") {
		dialect = mariadbDialect()
	}
	dialect.boundLocks(lockBound(conf.ReadTimeout))
	return New(Backend{
		Dialect: dialect,
		Gorm: gormmysql.New(gormmysql.Config{
			Conn:                      pool,
			ServerVersion:             version,
			SkipInitializeWithVersion: true, // asked above, with the caller's context
		}),
		Pool:    pool,
		Slow:    slow,
		Views:   views,
		Silence: time.Duration(silence(conf)) * time.Second,
		Clock:   cfg.Clock,
	})
}

func openPool(conf *mysql.Config, maxConns int) (*sql.DB, error) {
	connector, err := mysql.NewConnector(conf)
	if err != nil {
		return nil, fmt.Errorf("configure connection to %s: %w", conf.Addr, err)
	}
	pool := sql.OpenDB(readCommitted{connector})
	pool.SetMaxOpenConns(maxConns)
	pool.SetMaxIdleConns(maxConns)
	pool.SetConnMaxLifetime(connMaxLifetime)
	// Half of what the server bears: we go first.
	pool.SetConnMaxIdleTime(time.Duration(silence(conf)) * time.Second / 2)
	return pool, nil
}

// mysqlDialect is MySQL 8.4 and later.
//
// LockLevels joins a list of keys to the table, so that the server looks up one
// row after the other and locks those. The plain form, IN (...), is a scan of the
// whole index when the table is small, and a scan locks every row it passes.
// STRAIGHT_JOIN and FORCE INDEX take the choice from the optimiser.
//
// FindOrders locks nothing; there FORCE INDEX keeps stale statistics of a table
// that grew quickly from turning the look-up into a scan.
func mysqlDialect() Dialect {
	migrations, err := fs.Sub(mysqlMigrations, "migrations/mysql")
	if err != nil {
		panic(err) // the path is embedded above
	}
	return Dialect{
		Name:     "mysql",
		Snapshot: sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
		LockLevels: KeyQuery{
			Open: "SELECT STRAIGHT_JOIN s.goods_id,s.available,s.version FROM(VALUES ROW(", Between: "),ROW(",
			Close: "))AS k(id) JOIN stock AS s FORCE INDEX(PRIMARY) ON s.goods_id=k.id FOR UPDATE",
		},
		FindLevels: KeyQuery{
			Open: "SELECT goods_id,available,version FROM stock FORCE INDEX(PRIMARY) WHERE goods_id IN(", Between: ",", Close: ")",
		},
		FindOrders: KeyQuery{
			Open: "SELECT " + OrderColumns + " FROM orders FORCE INDEX(PRIMARY) WHERE order_id IN(", Between: ",", Close: ")",
		},
		LockOrders: KeyQuery{
			Open: "SELECT STRAIGHT_JOIN " + OrderColumns + " FROM(SELECT ", Between: mysqlNextKey,
			Close: " AS id)AS k JOIN orders FORCE INDEX(PRIMARY) ON order_id=k.id FOR UPDATE",
		},
		DeleteOrders: KeyQuery{
			Open: "DELETE o FROM(SELECT ", Between: mysqlNextKey,
			Close: " AS id)AS k STRAIGHT_JOIN orders AS o FORCE INDEX(PRIMARY) ON o.order_id=k.id",
		},
		DeleteMovements: KeyQuery{
			Open: "DELETE m FROM(SELECT ", Between: mysqlNextKey,
			Close: " AS id)AS k STRAIGHT_JOIN movements AS m FORCE INDEX(PRIMARY) ON m.ref=k.id" +
				" WHERE m.kind IN('deduct','release')",
		},
		Upsert: Upsert{
			Clause: "AS n ON DUPLICATE KEY UPDATE ", RefOpen: "n.",
			Counted: 2, // the server counts an updated row as two, an inserted one as one
		},
		Classify:   classifyMySQL,
		Migrations: migrations,
		Goose:      goose.DialectMySQL,
		Exclusive:  underNamedLock,
		Inspect:    inspectMySQL,
	}
}

// lockBound is how long a statement that locks rows may take. The server bounds each
// wait for a row, not their sum; whoever waited for the sum would take a server that
// is busy for one that is gone, and leave a transaction behind that goes on waiting and
// keeps what it has locked. What is left of the time is for the answer's way.
func lockBound(readTimeout time.Duration) time.Duration { return readTimeout * 4 / 5 }

// boundLocks has the server end statements that lock rows after a time. The two have
// different words for that: a hint, and a setting for one statement.
func (d *Dialect) boundLocks(bound time.Duration) {
	for _, q := range []*KeyQuery{&d.LockLevels, &d.LockOrders} {
		if d.Name == "mysql" {
			q.Open = strings.Replace(q.Open, "SELECT ", fmt.Sprintf("SELECT /*+ MAX_EXECUTION_TIME(%d) */ ", max(1, bound.Milliseconds())), 1)
		} else {
			q.Open = fmt.Sprintf("SET STATEMENT max_statement_time=%.3f FOR ", max(time.Millisecond, bound).Seconds()) + q.Open
		}
	}
}

// mysqlNextKey makes a list of keys a table in words that both servers take, also
// in a DELETE.
const mysqlNextKey = " AS id UNION ALL SELECT "

// mariadbDialect is MariaDB 10.11 and later: the same tables, and other words
// for a list of rows and for the row that was to be inserted.
func mariadbDialect() Dialect {
	d := mysqlDialect()
	d.Name = "mariadb"
	d.LockLevels = KeyQuery{
		Open: "WITH k(id) AS(VALUES(", Between: "),(",
		Close: "))SELECT STRAIGHT_JOIN s.goods_id,s.available,s.version FROM k JOIN stock AS s FORCE INDEX(PRIMARY) ON s.goods_id=k.id FOR UPDATE",
	}
	d.Upsert = Upsert{Clause: " ON DUPLICATE KEY UPDATE ", RefOpen: "VALUES(", RefEnd: ")", Counted: 2}
	return d
}
