package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// CreateDatabase makes an empty database on the same server, for those who try
// things out and must not touch what is there. name is made of a-z, 0-9 and _.
// [stock.ErrUnavailable] is the server's trouble; most other errors mean that
// the user may not do it.
func (l *Ledger) CreateDatabase(ctx context.Context, name string) error {
	return l.administer(ctx, "CREATE DATABASE ", name)
}

// DropDatabase removes a database that CreateDatabase made.
func (l *Ledger) DropDatabase(ctx context.Context, name string) error {
	return l.administer(ctx, "DROP DATABASE ", name)
}

func (l *Ledger) administer(ctx context.Context, statement, name string) error {
	foreign := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' }
	if name == "" || strings.ContainsFunc(name, foreign) {
		return fmt.Errorf("database name %q: want a-z, 0-9 and _", name)
	}
	_, err := l.pool.ExecContext(ctx, statement+name)
	if err != nil {
		return fmt.Errorf("%s%s: %w", strings.ToLower(statement), name, l.translate(ctx, err))
	}
	return nil
}

// Tables are the names of all tables in the ledger's database.
func (l *Ledger) Tables(ctx context.Context) ([]string, error) {
	tables, err := l.db.WithContext(ctx).Migrator().GetTables()
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", l.translate(ctx, err))
	}
	// SQLite lists its own table of counters among the others.
	return slices.DeleteFunc(tables, func(name string) bool { return strings.HasPrefix(name, "sqlite_") }), nil
}

// DropTables removes every table of the ledger's database, whoever made it. It
// is for a database that was found empty and lent for a trial.
func (l *Ledger) DropTables(ctx context.Context) error {
	tables, err := l.Tables(ctx)
	if err != nil {
		return err
	}
	for _, table := range tables {
		err := l.db.WithContext(ctx).Migrator().DropTable(table)
		if err != nil {
			return fmt.Errorf("drop table %s: %w", table, l.translate(ctx, err))
		}
	}
	return nil
}
