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
// instances may call it at once: one works, the others wait.
func (l *Ledger) Migrate(ctx context.Context) (applied []string, err error) {
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger())}
	if l.dialect.Locker != nil {
		options = append(options, goose.WithSessionLocker(l.dialect.Locker))
	}
	provider, err := goose.NewProvider(l.dialect.Goose, l.slow, l.dialect.Migrations, options...)
	if err != nil {
		return nil, fmt.Errorf("load migrations: %w", err)
	}
	for range migrateAttempts {
		var files []string
		files, err = up(ctx, provider)
		applied = append(applied, files...)
		// Without a locker, the loser of a race finds a table made already. Each
		// migration is a transaction of its own, so it starts again behind the winner.
		if err == nil || l.dialect.Locker != nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return applied, fmt.Errorf("migrate: %w", l.translate(ctx, err))
	}
	return applied, nil
}

// migrateAttempts is for databases without a locker: more instances than this
// do not start on one file at once.
const migrateAttempts = 10

// up returns what was applied, also when it failed half-way.
func up(ctx context.Context, provider *goose.Provider) ([]string, error) {
	results, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
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
	provider, err := goose.NewProvider(l.dialect.Goose, l.slow, l.dialect.Migrations, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("load migrations: %w", err)
	}
	pending := make(map[int64]string)
	for _, source := range provider.ListSources() {
		pending[source.Version] = path.Base(source.Path)
	}
	store, err := database.NewStore(l.dialect.Goose, goose.DefaultTablename)
	if err != nil {
		return nil, fmt.Errorf("load migrations: %w", err)
	}
	done, err := appliedVersions(ctx, store, l.pool)
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
func appliedVersions(ctx context.Context, store database.Store, pool *sql.DB) ([]int64, error) {
	extended, ok := store.(database.StoreExtender)
	if !ok {
		return nil, fmt.Errorf("goose cannot look for its table (%T)", store)
	}
	if exists, err := extended.TableExists(ctx, pool); err != nil || !exists {
		return nil, err
	}
	rows, err := store.ListMigrations(ctx, pool)
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

// sessionLock keeps instances that migrate at once apart by the server's named
// locks. Goose's own table lock leaves a crashed holder's lease behind for half
// a minute; a named lock goes with its connection.
type sessionLock struct{}

// The lock's name holds for the whole server, so the database is part of it.
// Names are 64 characters at most and folded in case: a hash has neither trouble.
const (
	lockName    = "CONCAT('orders-migrate-',LEFT(SHA2(DATABASE(),256),32))"
	acquireLock = "SELECT GET_LOCK(" + lockName + ",?)"
	releaseLock = "SELECT RELEASE_LOCK(" + lockName + ")"

	lockPoll    = 2 * time.Second // one question to the server; the end of ctx is seen this soon
	lockTimeout = 5 * time.Minute // the patience with another instance's migrations
)

// SessionLock implements lock.SessionLocker.
func (*sessionLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lockTimeout, errors.New("another instance migrates for too long"))
	defer cancel()
	for {
		var got sql.NullInt64
		if err := conn.QueryRowContext(ctx, acquireLock, int(lockPoll.Seconds())).Scan(&got); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return fmt.Errorf("wait for the migration lock: %w", err)
		}
		if got.Int64 == 1 {
			return nil
		}
	}
}

// SessionUnlock implements lock.SessionLocker.
func (*sessionLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	var released sql.NullInt64
	if err := conn.QueryRowContext(ctx, releaseLock).Scan(&released); err != nil {
		return fmt.Errorf("release the migration lock: %w", err)
	}
	return nil
}
