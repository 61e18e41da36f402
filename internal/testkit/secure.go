package testkit

import (
	"crypto/tls"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"

	"orderconsumer/internal/authority"
	"orderconsumer/internal/embedded"
)

// Secure are servers that speak TLS and ask who we are. On real servers they
// are the other ports of those that Start gives.
type Secure struct {
	Brokers     []string
	RedisURLs   []string // without a password
	DatabaseURL string   // the same; embedded, a file that asks for none
	// Folder holds certificates under the names of package authority.
	Folder string
	// User and Password are known to the brokers by every mechanism, embedded to
	// Redis, and on real servers to Redis and the database.
	User         string
	PasswordFile string
	Password     string

	plainDatabase string // the URL by which anybody gets in; empty where that is DatabaseURL
}

// canary is a password that stands out: no output may have it.
const canary = "canary-orders"

// StartSecure returns secure servers for one test, their database migrated.
func StartSecure(t testing.TB) *Secure {
	t.Helper()
	if Real() {
		return realSecure(t)
	}
	folder := t.TempDir()
	must(t, authority.Write(folder))
	server, err := tls.LoadX509KeyPair(filepath.Join(folder, authority.ServerCert), filepath.Join(folder, authority.ServerKey))
	must(t, err)
	s := &Secure{Folder: folder, User: "orders", Password: canary, PasswordFile: filepath.Join(folder, "password")}
	must(t, os.WriteFile(s.PasswordFile, []byte(canary+"\n"), 0o600))

	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}}),
		kfake.Superuser("PLAIN", s.User, canary), kfake.Superuser("SCRAM-SHA-256", s.User, canary), kfake.Superuser("SCRAM-SHA-512", s.User, canary),
		// Known to the brokers, and allowed nothing.
		kfake.User("SCRAM-SHA-512", Stranger, canary))
	must(t, err)
	t.Cleanup(cluster.Close)
	s.Brokers = cluster.ListenAddrs()

	redis := miniredis.NewMiniRedis()
	must(t, redis.StartTLS(&tls.Config{Certificates: []tls.Certificate{server}}))
	t.Cleanup(redis.Close)
	redis.RequireUserAuth(s.User, canary)
	s.RedisURLs = []string{"rediss://" + s.User + "@" + redis.Addr() + "/0"}

	s.DatabaseURL = embedded.DatabaseScheme + filepath.Join(folder, "shop.db")
	l, err := OpenLedger(t.Context(), s.DatabaseURL)
	must(t, err)
	_, err = l.Migrate(t.Context())
	must(t, err)
	must(t, l.Close())
	return s
}

// Stranger is a user of the brokers who may do nothing. Its password is that of
// the others, by SCRAM-SHA-512.
const Stranger = "stranger"

// realSecure are the ports of real servers that scripts/servers up --secure
// opens.
func realSecure(t testing.TB) *Secure {
	t.Helper()
	if os.Getenv("SECURE_FOLDER") == "" {
		t.Fatal("SECURE_FOLDER is not set: start the servers with scripts/servers up --secure, and export what it prints")
	}
	s := &Secure{
		Brokers:      strings.Split(env(t, "SECURE_KAFKA_BROKERS"), ","),
		RedisURLs:    strings.Split(env(t, "SECURE_REDIS_URL"), ","),
		Folder:       env(t, "SECURE_FOLDER"),
		User:         env(t, "SECURE_USER"),
		PasswordFile: env(t, "SECURE_PASSWORD_FILE"),
	}
	text, err := os.ReadFile(s.PasswordFile)
	must(t, err)
	s.Password = strings.TrimSpace(string(text))
	AlterScram(t, s.User, s.Password)
	AlterScram(t, Stranger, s.Password)
	// Through the plain port the same database can be made and migrated.
	made := &Servers{DatabaseURL: newDatabase(t, env(t, "DATABASE_URL"))}
	_, err = made.OpenLedger(t).Migrate(t.Context())
	must(t, err)
	plain, err := url.Parse(made.DatabaseURL)
	must(t, err)
	secure, err := url.Parse(env(t, "SECURE_DATABASE_URL"))
	must(t, err)
	secure.Path = plain.Path
	s.DatabaseURL, s.plainDatabase = secure.String(), made.DatabaseURL
	return s
}

// Dump is everything that stands in the database.
func (s *Secure) Dump(t testing.TB) string {
	t.Helper()
	if s.plainDatabase == "" {
		return dumpFile(t, s.DatabaseURL)
	}
	db := openMySQL(t, s.plainDatabase)
	return dump(t, db)
}

// File is the path of one of the files of package authority.
func (s *Secure) File(name string) string { return filepath.Join(s.Folder, name) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
