package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/embedded"
	"orderconsumer/internal/lock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/ledger/sqlite"
)

// world is what the stories happen in.
type world struct {
	redisURL string
	clients  []redis.UniversalClient
	textbook *redsync.Redsync // as its README uses it
	locker   *lock.Locker     // as this project uses it
	table    *sql.DB          // where the textbook keeps its stock
	ledger   *ledger.Ledger   // where this project does
	goods    string
	stockOf  string                        // the name of the textbook's table
	undo     []func(context.Context) error // in reverse
}

// open makes the world, of servers inside the process where none are named.
func open(ctx context.Context, redisURL, database string) (_ *world, err error) {
	name := strings.ToLower(rand.Text()[:8])
	w := &world{redisURL: redisURL, goods: "example-" + name, stockOf: "example_" + name}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(ctx))
		}
	}()
	if redisURL == "" || database == "" {
		inside, err := w.startEmbedded()
		if err != nil {
			return nil, err
		}
		if redisURL == "" {
			w.redisURL = inside.RedisURL
		}
		if database == "" {
			database = inside.DatabaseURL
		}
	}
	if err := w.openLocks(); err != nil {
		return nil, err
	}
	return w, w.openStock(ctx, database)
}

func (w *world) startEmbedded() (*embedded.Servers, error) {
	folder, err := embedded.TempFolder()
	if err != nil {
		return nil, err
	}
	w.undo = append(w.undo, func(context.Context) error { return os.RemoveAll(folder) })
	servers, err := embedded.Start(embedded.Config{Folder: folder})
	if err != nil {
		return nil, err
	}
	w.undo = append(w.undo, func(context.Context) error { servers.Close(); return nil })
	return servers, nil
}

func (w *world) openLocks() error {
	clients, err := lock.NewClients([]string{w.redisURL}, lock.ClientConfig{})
	if err != nil {
		return err
	}
	w.clients = clients
	w.undo = append(w.undo, func(context.Context) error { return clients[0].Close() })
	w.textbook = redsync.New(goredis.NewPool(clients[0]))
	w.locker, err = lock.New(clients, lock.Config{
		Expiry: expiry,
		// A holder that is paused extends nothing.
		ExtendEvery: -1,
	})
	return err
}

func (w *world) openStock(ctx context.Context, database string) (err error) {
	path, isFile := strings.CutPrefix(database, embedded.DatabaseScheme)
	if isFile {
		w.ledger, err = sqlite.Open(ctx, sqlite.Config{Path: path})
	} else {
		w.ledger, err = ledger.Open(ctx, ledger.Config{URL: database})
	}
	if err != nil {
		return err
	}
	w.undo = append(w.undo, func(context.Context) error { return w.ledger.Close() })
	if _, err := w.ledger.Migrate(ctx); err != nil {
		return err
	}
	if isFile {
		w.table, err = sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	} else {
		w.table, err = openMySQL(database)
	}
	if err != nil {
		return err
	}
	w.undo = append(w.undo, func(context.Context) error { return w.table.Close() })
	if _, err := w.table.ExecContext(ctx, "CREATE TABLE "+w.stockOf+"(goods_id VARCHAR(64) PRIMARY KEY,available INT)"); err != nil {
		return fmt.Errorf("create the textbook's table: %w", err)
	}
	w.undo = append(w.undo, func(ctx context.Context) error {
		_, err := w.table.ExecContext(ctx, "DROP TABLE "+w.stockOf)
		return err
	})
	return nil
}

func openMySQL(target string) (*sql.DB, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, errors.New("database URL: not a URL")
	}
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.DBName = "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	return sql.Open("mysql", cfg.FormatDSN())
}

// close removes what was made.
func (w *world) close(ctx context.Context) error {
	if w.locker != nil {
		w.locker.Close()
	}
	var errs []error
	for _, undo := range slices.Backward(w.undo) {
		errs = append(errs, undo(ctx))
	}
	return errors.Join(errs...)
}
