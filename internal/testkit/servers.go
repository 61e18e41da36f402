// Package testkit gives tests the servers they run on: inside the process by
// default, real ones where the environment says so. Only tests import it.
package testkit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // to create and drop databases

	"orderconsumer/internal/embedded"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/ledger/sqlite"
)

// Servers are what one test runs on: brokers, Redis, and a database of its
// own, empty but migrated. Topics, groups and lock prefixes are made the
// test's own with Unique.
type Servers struct {
	Brokers     []string
	RedisURLs   []string
	DatabaseURL string
	// Embedded is nil on real servers.
	Embedded *embedded.Servers
}

// requireServers in the environment makes tests run on the servers named by
// KAFKA_BROKERS, REDIS_URL and DATABASE_URL, and fail without them.
const requireServers = "REQUIRE_SERVERS"

// Real reports whether tests run on real servers.
func Real() bool { return os.Getenv(requireServers) == "1" }

// EmbeddedOnly reports that the tests run on real servers, on which this one has
// nothing to do: its caller returns. It is no skip, which fails there, and no
// test that passed either: the line it logs is what .ci/run counts.
func EmbeddedOnly(t testing.TB, why string) bool {
	t.Helper()
	if Real() {
		t.Logf("EMBEDDED ONLY: %s", why)
	}
	return Real()
}

// Start returns servers for one test.
func Start(t testing.TB) *Servers {
	t.Helper()
	s := servers(t)
	l := s.OpenLedger(t)
	_, err := l.Migrate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func servers(t testing.TB) *Servers {
	t.Helper()
	if Real() {
		return &Servers{
			Brokers:     strings.Split(env(t, "KAFKA_BROKERS"), ","),
			RedisURLs:   strings.Split(env(t, "REDIS_URL"), ","),
			DatabaseURL: newDatabase(t, env(t, "DATABASE_URL")),
		}
	}
	e, err := embedded.Start(embedded.Config{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return &Servers{
		Brokers:     e.Brokers,
		RedisURLs:   []string{e.RedisURL},
		DatabaseURL: e.DatabaseURL,
		Embedded:    e,
	}
}

func env(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s=1 but %s is not set; start the servers with scripts/servers up and export what it prints", requireServers, name)
	}
	return value
}

// Unique is a name that no other test and no earlier run has.
func Unique(prefix string) string {
	return prefix + "-" + strings.ToLower(rand.Text()[:10])
}

// OpenLedger opens the test's database; it is closed with the test.
func (s *Servers) OpenLedger(t testing.TB) *ledger.Ledger {
	t.Helper()
	l, err := OpenLedger(t.Context(), s.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := l.Close()
		if err != nil {
			t.Error(err)
		}
	})
	return l
}

// OpenLedger opens the database of a URL: MySQL, MariaDB or SQLite.
func OpenLedger(ctx context.Context, target string) (*ledger.Ledger, error) {
	if path, ok := strings.CutPrefix(target, embedded.DatabaseScheme); ok {
		return sqlite.Open(ctx, sqlite.Config{Path: path})
	}
	return ledger.Open(ctx, ledger.Config{URL: target})
}

// databaseTimeout bounds the creation of a database and its removal.
const databaseTimeout = 20 * time.Second

// newDatabase makes an empty database beside the one of the URL and returns
// its URL. It is dropped with the test.
func newDatabase(t testing.TB, base string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatalf("DATABASE_URL: %v", err)
	}
	password, _ := u.User.Password()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/", u.User.Username(), password, u.Host))
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ReplaceAll(Unique("test"), "-", "_")
	run := func(statement string) {
		ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
		defer cancel()
		_, err := db.ExecContext(ctx, statement)
		if err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	run("CREATE DATABASE " + name)
	t.Cleanup(func() {
		run("DROP DATABASE " + name)
		_ = db.Close() // a connection of the test's own
	})
	u.Path = "/" + name
	return u.String()
}
