package testkit

import (
	"context"
	"database/sql"
	"net/url"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/authority"
)

// Restricted are real servers, reached over TLS, on which a test makes users who
// may do what it grants them and nothing else. The users go with the test.
type Restricted struct {
	Brokers   []string
	RedisURLs []string // without user and password, as is the next
	// DatabaseURL is an empty database of the test's own.
	DatabaseURL string
	// Database is its name.
	Database string
	// CA is a file with the authority that signed for all servers.
	CA string

	admin *sql.DB
	redis []*redis.Client
	users []string
}

// StartRestricted returns real servers for one test; database is mysql or
// mariadb.
func StartRestricted(t testing.TB, database string) *Restricted {
	t.Helper()
	plain, secure := "DATABASE_URL", "SECURE_DATABASE_URL"
	if database == "mariadb" {
		plain, secure = "MARIADB_URL", "SECURE_MARIADB_URL"
	}
	s := &Secure{Folder: env(t, "SECURE_FOLDER")}
	r := &Restricted{Brokers: strings.Split(env(t, "SECURE_KAFKA_BROKERS"), ","), CA: s.File(authority.CAFile)}
	for address := range strings.SplitSeq(env(t, "SECURE_REDIS_URL"), ",") {
		u, err := url.Parse(address)
		must(t, err)
		u.User = nil
		r.RedisURLs = append(r.RedisURLs, u.String())
	}
	made, err := url.Parse(newDatabase(t, env(t, plain)))
	must(t, err)
	r.admin = openMySQL(t, made.String())
	u, err := url.Parse(env(t, secure))
	must(t, err)
	u.User, u.Path = nil, made.Path
	r.DatabaseURL, r.Database = u.String(), strings.TrimPrefix(made.Path, "/")
	for address := range strings.SplitSeq(env(t, "REDIS_URL"), ",") {
		options, err := redis.ParseURL(address)
		must(t, err)
		client := redis.NewClient(options)
		r.redis = append(r.redis, client)
		t.Cleanup(func() { _ = client.Close() })
	}
	t.Cleanup(func() { r.forget(t) })
	return r
}

// User makes a name that no other test's user has, and removes whoever is called
// so when the test ends.
func (r *Restricted) User(role string) string {
	name := strings.ReplaceAll(Unique(role), "-", "_")
	r.users = append(r.users, name)
	return name
}

// PlainBrokers are where whoever comes may do everything.
func (r *Restricted) PlainBrokers(t testing.TB) []string {
	t.Helper()
	return strings.Split(env(t, "KAFKA_BROKERS"), ",")
}

// SQL carries out a statement as somebody who may do everything.
func (r *Restricted) SQL(t testing.TB, statement string) {
	t.Helper()
	_, err := r.admin.ExecContext(t.Context(), statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// Redis carries out a command on each server as somebody who may do everything.
func (r *Restricted) Redis(t testing.TB, command ...any) {
	t.Helper()
	for _, client := range r.redis {
		err := client.Do(t.Context(), command...).Err()
		if err != nil {
			t.Fatalf("%v: %v", command, err)
		}
	}
}

// RedisDenied are what the servers have refused a user lately.
func (r *Restricted) RedisDenied(t testing.TB, user string) []string {
	t.Helper()
	var denied []string
	for _, client := range r.redis {
		entries, err := client.ACLLog(t.Context(), -1).Result()
		must(t, err)
		for _, e := range entries {
			if e.Username == user {
				denied = append(denied, e.Reason+" "+e.Object)
			}
		}
	}
	return denied
}

// Dump is everything that stands in the database.
func (r *Restricted) Dump(t testing.TB) string {
	t.Helper()
	return dump(t, r.admin)
}

// forget removes the test's users.
func (r *Restricted) forget(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), databaseTimeout)
	defer cancel()
	kafka := admin(t)
	defer kafka.Close()
	for _, user := range r.users {
		_, err := r.admin.ExecContext(ctx, "DROP USER IF EXISTS '"+user+"'@'%'")
		if err != nil {
			t.Errorf("drop user %s: %v", user, err)
		}
		for _, client := range r.redis {
			err = client.Do(ctx, "ACL", "DELUSER", user).Err()
			if err != nil {
				t.Errorf("remove user %s of Redis: %v", user, err)
			}
		}
		principal := "User:" + user
		filter := kmsg.NewDeleteACLsRequestFilter()
		filter.Principal, filter.ResourceType, filter.ResourcePatternType = &principal, kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
		filter.Operation, filter.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
		req := kmsg.NewPtrDeleteACLsRequest()
		req.Filters = append(req.Filters, filter)
		_, err = req.RequestWith(ctx, kafka)
		if err != nil {
			t.Errorf("remove what user %s was granted: %v", user, err)
		}
		forgetScram := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		for _, mechanism := range []int8{scramSHA256, scramSHA512} {
			one := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
			one.Name, one.Mechanism = user, mechanism
			forgetScram.Deletions = append(forgetScram.Deletions, one)
		}
		_, err = forgetScram.RequestWith(ctx, kafka) // its answer is that there is none, where there was none
		if err != nil {
			t.Errorf("remove user %s of Kafka: %v", user, err)
		}
	}
}
