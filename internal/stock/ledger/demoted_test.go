package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"testing"

	gormmysql "gorm.io/driver/mysql"

	"orderconsumer/internal/stock"
)

// failedOver is a name that leads to the primary of the moment: connections made
// before demote stay with a server that is read-only from then on.
type failedOver struct {
	reign int
}

func (f *failedOver) demote() { f.reign++ }

func (f *failedOver) Connect(context.Context) (driver.Conn, error) {
	return &reignConn{server: f, reign: f.reign}, nil
}

func (*failedOver) Driver() driver.Driver { return nil }

// reignConn is a connection to who was the primary when it was made.
type reignConn struct {
	idleConn
	server *failedOver
	reign  int
}

func (c *reignConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return c, nil }
func (*reignConn) Commit() error                                                  { return nil }
func (*reignConn) Rollback() error                                                { return nil }

func (*reignConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return noRows{}, nil
}

func (c *reignConn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	if c.reign != c.server.reign {
		return nil, server(1290, "HY000") // --read-only
	}
	return driver.RowsAffected(1), nil
}

type noRows struct{}

func (noRows) Columns() []string         { return nil }
func (noRows) Close() error              { return nil }
func (noRows) Next([]driver.Value) error { return io.EOF }

// TestFailoverIsFollowed: an old primary that stays up, read-only, answers
// as quickly as ever, and its connection is the first that the pool hands out.
func TestFailoverIsFollowed(t *testing.T) {
	t.Parallel()
	primary := new(failedOver)
	pool := sql.OpenDB(primary)
	l, err := New(Backend{
		Dialect: mysqlDialect(),
		Gorm:    gormmysql.New(gormmysql.Config{Conn: pool, ServerVersion: "8.4.0", SkipInitializeWithVersion: true}),
		Pool:    pool,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, err = l.Apply(t.Context(), releaseOne())
	if err != nil {
		t.Fatal(err)
	}
	primary.demote()
	_, err = l.Apply(t.Context(), releaseOne())
	wantSentinel(t, err, stock.ErrUnavailable)
	_, err = l.Apply(t.Context(), releaseOne())
	if err != nil {
		t.Errorf("the next one: %v, want it to find the new primary", err)
	}
}
