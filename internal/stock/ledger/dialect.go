package ledger

import (
	"context"
	"database/sql"
	"io/fs"

	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
)

// Dialect is what differs between the database servers the ledger runs on.
// MySQL and MariaDB are built in, package ledger/sqlite brings its own.
type Dialect struct {
	// Name is mysql, mariadb or sqlite.
	Name string

	// Snapshot is asked for when reading all tables as of one moment. Transactions
	// that write ask for nothing: a connection of [Backend.Pool] begins them at the level
	// they need, which is READ COMMITTED where several write at a time.
	Snapshot sql.TxOptions

	// LockLevels selects goods_id, available and version of the given goods and locks
	// those rows and no other until the transaction ends, in the order of the
	// keys.
	LockLevels KeyQuery
	// FindLevels selects the same without locks. It is empty where one transaction
	// writes at a time: nothing is gained there by writing before the levels are locked.
	FindLevels KeyQuery
	// FindOrders selects OrderColumns of the given orders, without locks.
	FindOrders KeyQuery
	// LockOrders selects OrderColumns of the given orders and locks those rows until
	// the transaction ends; DeleteOrders deletes them, DeleteMovements their
	// deductions and releases. None of them touches the rows of others.
	LockOrders, DeleteOrders, DeleteMovements KeyQuery
	// Upsert turns an INSERT into an update of the rows that are there.
	Upsert Upsert

	// Classify names what a driver's error means, or returns nil when it cannot
	// tell. committing is set for an answer to COMMIT.
	Classify func(err error, committing bool) error

	// Migrations holds the SQL files at its root, written for Goose's dialect of
	// that name. Exclusive runs fn, which applies them, while no other instance
	// does; it may run fn again when fn lost a race.
	Migrations fs.FS
	Goose      goose.Dialect
	Exclusive  func(ctx context.Context, pool *sql.DB, fn func() error) error

	// Inspect fills in what the server says about itself.
	Inspect func(ctx context.Context, db *gorm.DB, s *Settings) error
}

// KeyQuery is a statement around a list of keys.
type KeyQuery struct {
	Open, Between, Close string
}

// Upsert is the clause that follows the rows of an INSERT, and how it refers to
// the value that was to be inserted.
type Upsert struct {
	Clause          string
	RefOpen, RefEnd string
	// Counted is how many rows the server says it affected for one row updated.
	Counted int64
}

// set writes "column = the new value" for each column.
func (u *Upsert) set(s *statement, columns ...string) {
	s.text(u.Clause)
	for i, column := range columns {
		if i > 0 {
			s.text(",")
		}
		s.text(column).text("=").text(u.RefOpen).text(column).text(u.RefEnd)
	}
}
