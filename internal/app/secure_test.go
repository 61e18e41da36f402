package app

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orderconsumer/internal/authority"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/doctor"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/settings"
	cacheredis "orderconsumer/internal/stock/cache/redis"
	"orderconsumer/internal/testkit"
)

// guarded is one test's secure servers and the settings that lead to them.
type guarded struct {
	t        *testing.T
	servers  *testkit.Secure
	settings map[string]string
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	s := testkit.StartSecure(t)
	ca := s.File(authority.CAFile)
	g := &guarded{t: t, servers: s, settings: map[string]string{
		"kafka-brokers": strings.Join(s.Brokers, ","), "kafka-ca": ca,
		"kafka-sasl": kafka.LoginScram512, "kafka-user": s.User, "kafka-password-file": s.PasswordFile,
		"redis-url": strings.Join(s.RedisURLs, ","), "redis-ca": ca, "redis-password-file": s.PasswordFile,
		"database-url": s.DatabaseURL,
		"topic":        testkit.Unique("orders"), "group": testkit.Unique("group"), "retry-after": "1ms,2ms", "partitions": "3", "http": "",
		"lock-prefix": testkit.Unique("lock") + ":{goods}:",
	}}
	if testkit.Real() {
		g.settings["database-ca"], g.settings["database-password-file"] = ca, s.PasswordFile
	}
	return g
}

// args are the settings as flags, those of prefixes alone, with some changed.
func (g *guarded) args(changed map[string]string, prefixes ...string) []string {
	all := maps.Clone(g.settings)
	maps.Copy(all, changed)
	var args []string
	for name, value := range all {
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) && (value != "" || name == "http") {
				args = append(args, "--"+name+"="+value)
			}
		}
	}
	return args
}

// consume carries out a command of the consumer that needs all settings.
func (g *guarded) consume(changed map[string]string, command ...string) answer {
	g.t.Helper()
	got := consume(g.t, "", append(command, g.args(changed, "")...)...)
	g.keepsSecret(got)
	return got
}

// keepsSecret fails the test when an answer shows the password.
func (g *guarded) keepsSecret(got answer) {
	g.t.Helper()
	if text := got.stdout + got.stderr; strings.Contains(text, g.servers.Password) {
		g.t.Errorf("the password is shown:\n%s", text)
	}
}

func TestAShopBehindTLSAndPasswords(t *testing.T) {
	t.Parallel()
	for _, way := range []string{kafka.LoginPlain, kafka.LoginScram256, kafka.LoginScram512} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			g := newGuarded(t)
			changed := map[string]string{"kafka-sasl": way,
				"kafka-cert": g.servers.File(authority.ClientCert), "kafka-key": g.servers.File(authority.ClientKey)}
			databaseArgs := g.args(nil, "database-")
			g.keepsSecret(consume(t, "", append([]string{"stock", "set", "421", "10"}, databaseArgs...)...).want(t, cli.ExitOK))

			orders := filepath.Join(t.TempDir(), "orders.csv")
			err := os.WriteFile(orders, []byte("order_id,goods_id,num\nA-1,421,2\nA-2,421,3\nA-3,421,9\n"), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			published := producing(t, append([]string{"publish", "--create", "--partitions=3", "--topic=" + g.settings["topic"], "--file=" + orders},
				g.args(changed, "kafka-")...)...)
			published.want(t, cli.ExitOK)
			g.keepsSecret(published)

			ran := g.consume(changed, "run", "--exit-at-end").want(t, cli.ExitOK)
			testkit.WantParts(t, ran.stderr, "settled 3 events", "2 deducted, 1 rejected")
			level := consume(t, "", append([]string{"stock", "get", "421", "-o", "json"}, databaseArgs...)...).want(t, cli.ExitOK)
			testkit.WantParts(t, level.stdout, `"available":5`)

			examined := g.consume(changed, "doctor").want(t, cli.ExitOK)
			testkit.WantParts(t, examined.stdout, "over TLS as "+g.servers.User+" ("+way+")")
		})
	}
}

// TestDoctorNamesWhatIsWrongWithTrust makes one mistake at a time.
func TestDoctorNamesWhatIsWrongWithTrust(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	stranger := t.TempDir()
	err := authority.Write(stranger)
	if err != nil {
		t.Fatal(err)
	}
	another := filepath.Join(stranger, authority.CAFile)
	wrong := filepath.Join(stranger, "password")
	err = os.WriteFile(wrong, []byte("canary-wrong\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	redis := g.redisCheck()
	denied := "SASL Authentication Failed"
	if !testkit.Real() {
		denied = "EOF" // it hangs up
	}
	for _, c := range []struct {
		mistake      string
		changed      map[string]string
		check        string
		what, fix    string
		exit         cli.Exit // ExitFailed where it is not said
		onServerOnly bool     // the embedded database asks for nothing, and the embedded Kafka calls what is denied missing
	}{
		{mistake: "wrong authority for Kafka", changed: map[string]string{"kafka-ca": another},
			check: doctor.CheckBrokers, what: "signed by unknown authority", fix: "set KAFKA_CA_FILE"},
		{mistake: "no TLS to Kafka", changed: map[string]string{"kafka-ca": ""},
			check: doctor.CheckBrokers, what: "EOF", fix: "KAFKA_TLS=true"},
		{mistake: "no login to Kafka", changed: map[string]string{"kafka-sasl": "none", "kafka-user": ""},
			check: doctor.CheckBrokers, what: "EOF", fix: "set KAFKA_SASL"},
		{mistake: "wrong password for Kafka, PLAIN", changed: map[string]string{"kafka-sasl": kafka.LoginPlain, "kafka-password-file": wrong},
			check: doctor.CheckBrokers, what: denied, fix: "KAFKA_PASSWORD_FILE"},
		{mistake: "wrong password for Kafka, SCRAM", changed: map[string]string{"kafka-password-file": wrong},
			check: doctor.CheckBrokers, what: denied, fix: "KAFKA_PASSWORD_FILE"},
		{mistake: "a user Kafka does not know", changed: map[string]string{"kafka-user": "nobody"},
			check: doctor.CheckBrokers, what: denied, fix: "KAFKA_USER (now nobody)"},
		{mistake: "a user who may do nothing", changed: map[string]string{"kafka-user": testkit.Stranger},
			check: doctor.CheckTopics, what: "Topic Authorization Failed", fix: "kafka-acls.sh --bootstrap-server " + g.settings["kafka-brokers"] + " --list --principal User:" + testkit.Stranger, onServerOnly: true},
		{mistake: "a password file that is not there", changed: map[string]string{"kafka-password-file": "/nowhere"},
			check: doctor.CheckBrokers, what: "read KAFKA_PASSWORD_FILE: open /nowhere", fix: "set KAFKA_BROKERS and what goes with it"},
		{mistake: "a certificate without its key", changed: map[string]string{"kafka-cert": g.servers.File(authority.ClientCert)},
			check: doctor.CheckBrokers, what: "KAFKA_CERT_FILE and KAFKA_KEY_FILE belong together", fix: "set KAFKA_BROKERS and what goes with it"},
		{mistake: "wrong authority for Redis", changed: map[string]string{"redis-ca": another},
			check: redis, what: "signed by unknown authority", fix: "set REDIS_CA_FILE"},
		{mistake: "no TLS to Redis", changed: map[string]string{"redis-ca": "", "redis-url": strings.ReplaceAll(g.settings["redis-url"], "rediss://", "redis://")},
			check: redis, what: "does not answer", fix: "rediss://", exit: cli.ExitUnreachable},
		{mistake: "wrong password for Redis", changed: map[string]string{"redis-password-file": wrong},
			check: redis, what: "WRONGPASS", fix: "REDIS_PASSWORD_FILE"},
		{mistake: "a file for TLS and a URL without", changed: map[string]string{"redis-url": "redis://localhost:6379/0"},
			check: doctor.CheckRedis, what: "does not begin with rediss://", fix: "set REDIS_URL"},
		{mistake: "wrong authority for the database", changed: map[string]string{"database-ca": another},
			check: doctor.CheckDatabase, what: "signed by unknown authority", fix: "set DATABASE_CA_FILE", onServerOnly: true},
		{mistake: "no TLS to the database", changed: map[string]string{"database-ca": ""},
			check: doctor.CheckDatabase, what: "Error 1045", fix: "REQUIRE SSL needs DATABASE_CA_FILE", onServerOnly: true},
		{mistake: "wrong password for the database", changed: map[string]string{"database-password-file": wrong},
			check: doctor.CheckDatabase, what: "Error 1045", fix: "DATABASE_PASSWORD_FILE", onServerOnly: true},
	} {
		if c.onServerOnly && !testkit.Real() {
			continue
		}
		t.Run(c.mistake, func(t *testing.T) {
			t.Parallel()
			got := g.consume(c.changed, "doctor", "-o", "json").want(t, max(c.exit, cli.ExitFailed))
			var whole examined
			err := json.Unmarshal([]byte(got.stdout), &whole)
			if err != nil {
				t.Fatal(err)
			}
			found := make(map[string]doctor.Finding)
			for _, f := range whole.Checks {
				found[f.Name] = f
			}
			expect(t, found, c.check, doctor.StatusFail, c.what, c.fix)
			if strings.Contains(got.stdout+got.stderr, "canary") {
				t.Errorf("a password is shown: %s%s", got.stdout, got.stderr)
			}
		})
	}
}

// redisCheck is the name of the check of the first Redis.
func (g *guarded) redisCheck() string {
	g.t.Helper()
	u, err := url.Parse(g.servers.RedisURLs[0])
	if err != nil {
		g.t.Fatal(err)
	}
	return doctor.CheckRedis + " " + u.Host
}

func TestDoctorWarnsOfWhatOthersMayRead(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	changed := map[string]string{"kafka-ca": "", "kafka-tls-insecure": "true", "redis-ca": "", "redis-tls-insecure": "true"}
	if testkit.Real() {
		changed["database-ca"], changed["database-tls-insecure"] = "", "true"
	}
	// The first member of a fresh cluster waits for it longer than a doctor does.
	ran := g.consume(changed, "run", "--exit-at-end").want(t, cli.ExitOK)
	testkit.WantParts(t, ran.stderr, "kafka security", "redis security", "cache security")
	got := g.consume(changed, "doctor").want(t, cli.ExitOK)
	testkit.WantParts(t, got.stdout, "[warn] kafka security: any certificate is believed", "[warn] redis security: any certificate is believed")
	if testkit.Real() {
		testkit.WantParts(t, ran.stderr, "database security")
		testkit.WantParts(t, got.stdout, "[warn] database security: any certificate is believed")
	}
	own := map[string]string{"cache-redis-url": g.servers.RedisURLs[0], "cache-redis-tls-insecure": "true", "cache-redis-password-file": g.servers.PasswordFile}
	testkit.WantParts(t, g.consume(own, "doctor").want(t, cli.ExitOK).stdout, "[warn] cache security: any certificate is believed", "remove CACHE_REDIS_TLS_INSECURE")
	// Commands that have no findings say it themselves.
	for name, said := range map[string]string{
		"group":  g.consume(changed, "job", "list").stderr,
		"stock":  consume(t, "", "stock", "list", "--database-url=mysql://orders@127.0.0.1:1/orders", "--database-tls-insecure").stderr,
		"replay": producing(t, "redrive", "list", "--kafka-brokers=127.0.0.1:1", "--kafka-tls-insecure").stderr,
	} {
		if strings.Count(said, "_TLS_INSECURE: any certificate is believed") < 1 {
			t.Errorf("%s does not say it:\n%s", name, said)
		}
	}
	if quiet := g.consume(nil, "job", "list").stderr; strings.Contains(quiet, "believed") {
		t.Errorf("said without a reason: %s", quiet)
	}
}

// TestProducerNamesWhatIsWrongWithTrust: the producer has no doctor.
func TestProducerNamesWhatIsWrongWithTrust(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	mistakes := map[string]map[string]string{
		"KAFKA_USER (now nobody)": {"kafka-user": "nobody"},
		"KAFKA_TLS=true":          {"kafka-ca": ""},
	}
	if testkit.Real() { // embedded, what is denied is called missing
		mistakes["kafka-acls.sh --bootstrap-server"] = map[string]string{"kafka-user": testkit.Stranger}
	}
	for mistake, changed := range mistakes {
		got := producing(t, append([]string{"generate", "--orders=1", "--topic=" + g.settings["topic"]}, g.args(changed, "kafka-")...)...)
		testkit.WantParts(t, got.want(t, cli.ExitFailed).stderr, mistake)
		g.keepsSecret(got)
	}
}

// TestAnExpiredCertificateIsNamed needs an authority of its own.
func TestAnExpiredCertificateIsNamed(t *testing.T) {
	t.Parallel()
	a, err := authority.New("test")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		life time.Duration
		host string
		want string
	}{
		"expired":         {life: -time.Minute, host: "127.0.0.1", want: "renew the certificate of "},
		"of another host": {life: time.Hour, host: "elsewhere.example", want: "by a name its certificate is for (elsewhere.example)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certificate, err := a.Issue(c.life, c.host)
			if err != nil {
				t.Fatal(err)
			}
			addr := listenTLS(t, certificate)
			ca := filepath.Join(t.TempDir(), "ca.pem")
			err = os.WriteFile(ca, a.Certificate(), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			settings, err := settings.DefaultConsumer()
			if err != nil {
				t.Fatal(err)
			}
			settings.Kafka.Brokers, settings.Kafka.Certificates.CA = []string{addr}, ca
			settings.Redis.URLs, settings.Redis.Certificates.CA = []string{"rediss://" + addr}, ca
			settings.Database.URL, settings.Cache.Mode = "mysql://nobody@127.0.0.1:1/none", "off"
			d := doctor.Doctor{Settings: settings, Open: testkit.OpenLedger, Program: "consumer", Patience: doctor.CheckTimeout}
			found := d.Examine(t.Context())
			for _, check := range []string{doctor.CheckBrokers, doctor.CheckRedis + " " + addr} {
				first := findingOf(t, found, check)
				if first.Unreachable || !strings.Contains(first.Fix, c.want) {
					t.Errorf("got %+v, want a fix with %q", first, c.want)
				}
			}
		})
	}
}

// listenTLS shows a certificate to whoever connects, and hangs up.
func listenTLS(t *testing.T, certificate tls.Certificate) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, conn) // the handshake is all that happens
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

// producing carries out one command line of the producer.
func producing(t *testing.T, args ...string) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := ProducerProgram{OpenLedger: testkit.OpenLedger}.program()
	code := p.RunUnder(make(chan os.Signal, 2), args, cli.Streams{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr})
	return answer{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// TestTheCacheBehindTLSAndPasswords reaches the cache's Redis by the settings of
// the lock's and by its own.
func TestTheCacheBehindTLSAndPasswords(t *testing.T) {
	t.Parallel()
	servers := testkit.StartSecure(t)
	guarded := settings.Certificates{CA: servers.File(authority.CAFile)}
	lock := settings.Redis{URLs: servers.RedisURLs, PasswordFile: servers.PasswordFile, Certificates: guarded}
	// A lock elsewhere, of which nothing may be used.
	elsewhere := settings.Redis{URLs: []string{"redis://127.0.0.1:1"}, PasswordFile: filepath.Join(t.TempDir(), "missing")}
	for name, c := range map[string]struct {
		cache settings.Cache
		lock  settings.Redis
	}{
		"that of the lock": {lock: lock},
		"its own": {lock: elsewhere, cache: settings.Cache{
			URL: servers.RedisURLs[0], PasswordFile: servers.PasswordFile, Certificates: guarded,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, access, err := c.cache.Where(c.lock)
			if err != nil {
				t.Fatal(err)
			}
			store, err := cacheredis.Open(cacheredis.Config{URL: at, Password: access.Password, TLS: access.TLS, Timeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(store.Ping(t.Context()), store.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// findingOf is what a check has found first.
func findingOf(t *testing.T, found []doctor.Finding, check string) doctor.Finding {
	t.Helper()
	i := slices.IndexFunc(found, func(f doctor.Finding) bool { return f.Name == check })
	if i < 0 {
		t.Fatalf("no finding of %s: %+v", check, found)
	}
	return found[i]
}
