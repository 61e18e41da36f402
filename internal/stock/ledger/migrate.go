package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migrate brings the tables up to this program's version and returns the files
// it applied, in their order; none when there was nothing to do. Any number of
// instances may call it at once: one works, the others wait. (On SQLite another
// may go on where one left off; no file is applied twice.)
func (l *Ledger) Migrate(ctx context.Context) (applied []string, err error) {
	provider, err := l.migrations()
	if err != nil {
		return nil, err
	}
	err = l.dialect.Exclusive(ctx, l.slow, func() error {
		files, err := up(ctx, provider)
		applied = append(applied, files...)
		return err
	})
	if err != nil {
		return applied, fmt.Errorf("migrate: %w", l.translate(ctx, err))
	}
	return applied, nil
}

func (l *Ledger) migrations() (*goose.Provider, error) {
	provider, err := goose.NewProvider(l.dialect.Goose, l.slow, l.dialect.Migrations,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("load migrations: %w", err)
	}
	return provider, nil
}

// up returns what was applied, also when it failed half-way.
func up(ctx context.Context, provider *goose.Provider) ([]string, error) {
	results, err := provider.Up(ctx)
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		results = partial.Applied
	}
	var files []string
	for _, result := range results {
		files = append(files, path.Base(result.Source.Path))
	}
	return files, err
}

// Pending returns the migration files that are not applied yet. It changes
// nothing, so it works for a user who may not create tables.
func (l *Ledger) Pending(ctx context.Context) ([]string, error) {
	provider, err := l.migrations()
	if err != nil {
		return nil, err
	}
	pending := make(map[int64]string)
	for _, source := range provider.ListSources() {
		pending[source.Version] = path.Base(source.Path)
	}
	done, err := l.appliedVersions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", l.translate(ctx, err))
	}
	for _, version := range done {
		delete(pending, version)
	}
	files := make([]string, 0, len(pending))
	for _, version := range slices.Sorted(maps.Keys(pending)) {
		files = append(files, pending[version])
	}
	return files, nil
}

// appliedVersions reads goose's own table; a database without it has none.
// (Goose's own way of asking creates the table.)
func (l *Ledger) appliedVersions(ctx context.Context) ([]int64, error) {
	// To HasTable a database that does not answer has no tables.
	if err := l.pool.PingContext(ctx); err != nil {
		return nil, err
	}
	if !l.db.WithContext(ctx).Migrator().HasTable(goose.DefaultTablename) {
		return nil, nil
	}
	store, err := database.NewStore(l.dialect.Goose, goose.DefaultTablename)
	if err != nil {
		return nil, err
	}
	rows, err := store.ListMigrations(ctx, l.pool)
	if err != nil {
		return nil, err
	}
	var versions []int64
	for _, row := range rows {
		if row.IsApplied {
			versions = append(versions, row.Version)
		}
	}
	return versions, nil
}

// The lock's name holds for the whole server, so the database is part of it.
// Names are 64 characters at most and folded in case: a hash has neither trouble.
const (
	lockName    = "CONCAT('orders-migrate-',LEFT(SHA2(DATABASE(),256),32))"
	acquireLock = "SELECT GET_LOCK(" + lockName + ",?)"
	releaseLock = "SELECT RELEASE_LOCK(" + lockName + ")"

	lockPoll    = 2 * time.Second // one question to the server; the end of ctx is seen this soon
	lockTimeout = 5 * time.Minute // the patience with another instance's migrations
)

// underNamedLock is [Dialect.Exclusive] by the server's named locks. Goose can
// hold a lock itself, but looks for its table before it does, and finds one that
// another instance has made and not yet filled; its own lock in a table also
// leaves a crashed holder's lease behind. A named lock goes with its connection.
func underNamedLock(ctx context.Context, pool *sql.DB, fn func() error) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	wait, cancel := context.WithTimeoutCause(ctx, lockTimeout, errors.New("another instance migrates for too long"))
	defer cancel()
	for {
		var got sql.NullInt64
		if err := conn.QueryRowContext(wait, acquireLock, int(lockPoll.Seconds())).Scan(&got); err != nil {
			if cause := context.Cause(wait); cause != nil {
				err = cause
			}
			return fmt.Errorf("wait for the migration lock: %w", err)
		}
		if got.Int64 == 1 {
			break
		}
	}
	defer func() {
		// The lock goes with the connection, so take that down if it will not go alone.
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), releaseLock); err != nil {
			discard(conn)
		}
	}()
	return fn()
}
