package stocktest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// The environment variables that name real servers, as URLs of a user who may
// create databases.
const (
	MySQLEnv   = "DATABASE_URL"
	MariaDBEnv = "MARIADB_URL"

	// RequireEnv set to 1 makes a server that is not named a failure, so that a
	// run that was meant to use them cannot pass by skipping.
	RequireEnv = "REQUIRE_SERVERS"
)

// NewDatabase creates an empty database on the server named by the environment
// variable and returns its URL. It is dropped with the test. Without the
// variable the test is skipped, or fails where servers are required.
func NewDatabase(t testing.TB, env string) string {
	t.Helper()
	server := os.Getenv(env)
	if server == "" {
		if os.Getenv(RequireEnv) == "1" {
			t.Fatalf("%s is not set, and %s=1 forbids to skip", env, RequireEnv)
		}
		t.Skipf("SKIPPING: %s names no server", env)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s: not a URL", env)
	}
	name := "test_" + strings.ToLower(rand.Text())
	admin := adminOf(t, u)
	if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create database %s on %s: %v", name, u.Host, err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := admin.ExecContext(ctx, "DROP DATABASE "+name); err != nil {
			t.Errorf("drop database %s on %s: %v", name, u.Host, err)
		}
		_ = admin.Close()
	})
	u.Path = "/" + name
	return u.String()
}

// Admin returns a connection pool to the database at a URL, for what a test
// does behind the ledger's back. It is closed with the test.
func Admin(t testing.TB, databaseURL string) *sql.DB {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal("not a URL")
	}
	db := adminOf(t, u)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// AwaitStatement waits until the server is at work, in this database, on a statement that contains text: of one
// that waits for rows, for as long as it does.
func AwaitStatement(t testing.TB, admin *sql.DB, text string) {
	t.Helper()
	const running = "SELECT COUNT(*) FROM information_schema.processlist WHERE db=DATABASE() AND id<>CONNECTION_ID() AND info LIKE CONCAT('%',?,'%')"
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for n := 0; n == 0; {
		if err := admin.QueryRowContext(ctx, running, text).Scan(&n); err != nil {
			t.Fatalf("no statement with %q: %v", text, err)
		}
	}
}

func adminOf(t testing.TB, u *url.URL) *sql.DB {
	t.Helper()
	conf := mysql.NewConfig()
	conf.Net, conf.Addr, conf.User = "tcp", u.Host, u.User.Username()
	conf.Passwd, _ = u.User.Password()
	conf.DBName = strings.TrimPrefix(u.Path, "/")
	conf.ParseTime = true
	conf.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(conf)
	if err != nil {
		t.Fatal(err)
	}
	return sql.OpenDB(connector)
}
