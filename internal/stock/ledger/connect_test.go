package ledger

import (
	"context"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"

	"orderconsumer/internal/stock"
)

// connectsOnce is a server that lets one connection in, for GORM's ping, and
// then no other.
type connectsOnce struct {
	connected bool
	refuse    func() error
}

func (c *connectsOnce) Connect(context.Context) (driver.Conn, error) {
	if c.connected {
		return nil, c.refuse()
	}
	c.connected = true
	return idleConn{}, nil
}

func (*connectsOnce) Driver() driver.Driver { return mysql.MySQLDriver{} }

// idleConn is a connection for nothing but being there.
type idleConn struct{}

func (idleConn) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }
func (idleConn) Close() error                        { return nil }
func (idleConn) Begin() (driver.Tx, error)           { return nil, driver.ErrSkip }

// openRefused returns a ledger whose every connection fails with what refuse
// returns.
func openRefused(t *testing.T, refuse func() error) *Ledger {
	t.Helper()
	pool := sql.OpenDB(&connectsOnce{refuse: refuse})
	pool.SetMaxIdleConns(-1) // the connection of the ping is not kept
	l, err := New(Backend{
		Dialect: mysqlDialect(),
		Gorm:    gormmysql.New(gormmysql.Config{Conn: pool, ServerVersion: "8.4.0", SkipInitializeWithVersion: true}),
		Pool:    pool,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func releaseOne() []stock.Request {
	return []stock.Request{{Order: "1", Action: stock.Release, Attempt: 1}}
}

// TestNoConnectionIsUnavailable: where there is no connection nothing of the
// batch was looked at, so no error, listed or not, may count against its orders.
func TestNoConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	cases := map[string]error{
		"a certificate that ran out":               x509.CertificateInvalidError{Reason: x509.Expired},
		"a certificate of an unknown authority":    x509.UnknownAuthorityError{},
		"a certificate for another host":           x509.HostnameError{Certificate: &x509.Certificate{}, Host: "db"},
		"a server without TLS":                     mysql.ErrNoTLS,
		"an authentication plugin nobody knows":    mysql.ErrUnknownPlugin,
		"a password that must be changed":          server(1820, "HY000"),
		"an authentication protocol not supported": server(1251, "08004"),
		"a packet too large for a handshake":       server(1153, "08S01"),
		"a number in no list":                      server(4999, "HY000"),
		"anything else":                            errors.New("surprise"),
	}
	for name, refusal := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := openRefused(t, func() error { return refusal })
			_, err := l.Apply(t.Context(), releaseOne())
			wantSentinel(t, err, stock.ErrUnavailable)
			if err == nil || !strings.Contains(err.Error(), refusal.Error()) {
				t.Errorf("apply: %v, want it to tell %v", err, refusal)
			}
			wantSentinel(t, l.Ping(t.Context()), stock.ErrUnavailable)
		})
	}
}

// TestEndWhileConnectingIsTheCallers: a caller that goes while the server is
// dialled has not found the database down.
func TestEndWhileConnectingIsTheCallers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	l := openRefused(t, func() error {
		cancel()
		return mysql.ErrNoTLS
	})
	_, err := l.Apply(ctx, releaseOne())
	wantSentinel(t, err, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("apply: %v, want a cancellation", err)
	}
}
