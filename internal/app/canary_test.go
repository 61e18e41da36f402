package app

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"orderconsumer/internal/authority"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
)

// payloadCanary is what somebody's event says.
const payloadCanary = "canary-event"

// TestPasswordsAreShownNowhere has each way to give a password tried by processes,
// and looks at all that others can see of them. (Files are what the tests of
// secure_test.go use, and those of grants.) What events say is in the topics, and in
// the log when that was asked for.
func TestPasswordsAreShownNowhere(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]func(*guarded) []string{
		"variables":         (*guarded).variables,
		"URLs of variables": (*guarded).urls,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuarded(t)
			environment := way(g)
			flags := g.args(map[string]string{"http": ""}, "kafka-brokers", "topic", "group", "retry-after", "partitions", "lock-prefix")
			g.publishBroken()
			shown := name == "variables"
			if shown {
				environment = append(environment, "LOG_PAYLOADS=shown")
			}
			p := watchConsumer(t, flags, environment)
			testkit.WantParts(t, p.get("/v1/stock/421"), ": 200 ", "421")
			g.settled()
			seen := p.everything() + p.end()
			testkit.WantParts(t, seen, "event became a dead letter", "partitions assigned") // it is a log that is looked at
			if got := strings.Contains(seen, payloadCanary); got != shown {
				t.Errorf("the process repeats what events say: %v, want %v", got, shown)
			}
			testkit.WantParts(t, g.log(), payloadCanary)
			g.plan()
			for where, text := range map[string]string{"the process": seen, "the database": g.servers.Dump(t), "the topics": g.log()} {
				if len(text) < 1000 {
					t.Errorf("%s is only %q", where, text)
				}
				if strings.Contains(text, g.servers.Password) {
					t.Errorf("%s has the password", where)
				}
			}
		})
	}
}

// variables give the passwords as they are.
func (g *guarded) variables() []string {
	ca := g.settings["redis-ca"]
	environment := []string{
		"KAFKA_CA_FILE=" + ca, "KAFKA_SASL=" + g.settings["kafka-sasl"], "KAFKA_USER=" + g.settings["kafka-user"],
		"KAFKA_PASSWORD=" + g.servers.Password, "REDIS_URL=" + g.settings["redis-url"], "REDIS_CA_FILE=" + ca,
		"REDIS_PASSWORD=" + g.servers.Password, "DATABASE_URL=" + g.settings["database-url"],
	}
	if testkit.Real() {
		environment = append(environment, "DATABASE_CA_FILE="+ca, "DATABASE_PASSWORD="+g.servers.Password)
	}
	return environment
}

// urls give them in URLs; Kafka has none.
func (g *guarded) urls() []string {
	with := func(text string) string {
		u, err := url.Parse(text)
		if err != nil {
			g.t.Fatal(err)
		}
		u.User = url.UserPassword(u.User.Username(), g.servers.Password)
		return u.String()
	}
	var redis []string
	for _, one := range g.servers.RedisURLs {
		redis = append(redis, with(one))
	}
	ca := g.settings["redis-ca"]
	environment := []string{
		"KAFKA_CA_FILE=" + ca, "KAFKA_SASL=" + kafka.LoginPlain, "KAFKA_USER=" + g.settings["kafka-user"],
		"KAFKA_PASSWORD_FILE=" + g.servers.PasswordFile, "REDIS_URL=" + strings.Join(redis, ","), "REDIS_CA_FILE=" + ca,
		"CACHE_REDIS_URL=" + redis[0], "CACHE_REDIS_CA_FILE=" + ca, "DATABASE_URL=" + g.settings["database-url"],
	}
	if testkit.Real() {
		environment = append(environment, "DATABASE_URL="+with(g.settings["database-url"]), "DATABASE_CA_FILE="+ca)
	}
	return environment
}

// publishBroken has something in the topic that becomes a dead letter.
func (g *guarded) publishBroken() {
	g.t.Helper()
	events := filepath.Join(g.t.TempDir(), "events.jsonl")
	err := os.WriteFile(events, []byte(create("A-1", "421", 2)+"\n{\"order_id\":\"A-2\",\"type\":\""+payloadCanary+"\"}\n"), 0o600)
	if err != nil {
		g.t.Fatal(err)
	}
	g.keepsSecret(consume(g.t, "", append([]string{"stock", "set", "421", "10"}, g.args(nil, "database-")...)...).want(g.t, cli.ExitOK))
	g.keepsSecret(producing(g.t, append([]string{"publish", "--create", "--partitions=3", "--no-validate", "--topic=" + g.settings["topic"], "--file=" + events},
		g.args(nil, "kafka-")...)...).want(g.t, cli.ExitOK))
}

// client is one of the brokers, with the password of the file.
func (g *guarded) client() *kafka.Client {
	g.t.Helper()
	s := settings.Kafka{Brokers: g.servers.Brokers, SASL: g.settings["kafka-sasl"], User: g.servers.User, PasswordFile: g.servers.PasswordFile,
		Certificates: settings.Certificates{CA: g.servers.File(authority.CAFile)}}
	client, err := s.Client("test")
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(client.Close)
	return client
}

func (g *guarded) topics() order.Topics {
	return settings.Group{Group: g.settings["group"], Topic: g.settings["topic"], RetryAfter: tenantTiers}.Topics()
}

// settled returns when everything is.
func (g *guarded) settled() {
	g.t.Helper()
	err := g.client().WaitSettled(g.t.Context(), g.settings["group"], g.settings["topic"], nil, func(string, int64) {})
	if err != nil {
		g.t.Fatal(err)
	}
}

// plan has a replay planned, carried out and recorded, and letters looked at.
func (g *guarded) plan() {
	g.t.Helper()
	where := g.args(nil, "kafka-", "database-", "group", "retry-after")
	input := slices.Concat(where, []string{"--input-topic=" + g.settings["topic"]})
	own := slices.Concat(where, []string{"--topic=" + g.settings["topic"]})
	for _, args := range [][]string{
		append([]string{"replay", "--from=start"}, input...),
		append([]string{"replay", "--from=start", "--execute", "--reason=try", "--ramp=none"}, input...),
		append([]string{"replay", "list"}, g.args(nil, "database-")...),
		append([]string{"redrive", "list"}, own...),
		append([]string{"redrive", "archive", "--cause=schema_invalid", "--note=no", "--execute"}, own...),
	} {
		g.keepsSecret(producing(g.t, args...).want(g.t, cli.ExitOK))
	}
	g.keepsSecret(g.consume(nil, "doctor").want(g.t, cli.ExitOK))
}

// log is all that stands in the topics.
func (g *guarded) log() string {
	g.t.Helper()
	client := g.client()
	var mu sync.Mutex // partitions are read side by side
	var text strings.Builder
	for _, topic := range g.topics().All() {
		ranges, err := client.Ranges(g.t.Context(), topic)
		if err != nil {
			g.t.Fatal(err)
		}
		err = client.Scan(g.t.Context(), ranges, func(m order.Message) error {
			mu.Lock()
			defer mu.Unlock()
			text.Write(slices.Concat(m.Key, m.Value))
			for _, h := range m.Headers {
				text.WriteString(h.Key + ": " + string(h.Value) + "\n")
			}
			return nil
		})
		if err != nil {
			g.t.Fatal(err)
		}
	}
	return text.String()
}

// TestARefusedPasswordIsNotShown has each server refuse what every kind of program
// says.
func TestARefusedPasswordIsNotShown(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	const secret = "canary-wrong"
	wrong := filepath.Join(t.TempDir(), "password")
	err := os.WriteFile(wrong, []byte(secret+"\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	events := filepath.Join(t.TempDir(), "events.jsonl")
	err = os.WriteFile(events, []byte(create("A-1", "421", 2)+"\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	run := []string{"run", "--exit-at-end", "--lock=required", "--log-level=debug"}
	all := []string{""}
	log, ledger := []string{"kafka-", "group", "topic", "retry-after"}, []string{"database-"}
	letters := slices.Concat(log, ledger)
	for _, c := range []struct {
		server  string
		command []string
		flags   []string // what the names of the flags begin with that it takes
		produce bool     // it is one of the producer's
	}{
		{server: "kafka", command: run, flags: all},
		{server: "kafka", command: []string{"doctor"}, flags: all},
		{server: "kafka", command: []string{"group", "describe"}, flags: log},
		{server: "kafka", command: []string{"audit", "--log"}, flags: letters},
		{server: "kafka", command: []string{"publish", "--file=" + events}, flags: []string{"kafka-", "topic"}, produce: true},
		{server: "kafka", command: []string{"replay", "--from=start"}, flags: []string{"kafka-", "database-", "group"}, produce: true},
		{server: "kafka", command: []string{"redrive", "list"}, flags: letters, produce: true},
		{server: "redis", command: run, flags: all},
		{server: "redis", command: []string{"doctor"}, flags: all},
		{server: "database", command: run, flags: all},
		{server: "database", command: []string{"doctor"}, flags: all},
		{server: "database", command: []string{"migrate"}, flags: ledger},
		{server: "database", command: []string{"audit"}, flags: ledger},
		{server: "database", command: []string{"stock", "list"}, flags: ledger},
		{server: "database", command: []string{"job", "list"}, flags: all},
		{server: "database", command: []string{"replay", "list"}, flags: ledger, produce: true},
	} {
		if c.server == "database" && !testkit.Real() {
			continue // it asks for none
		}
		t.Run(c.server+" "+strings.Join(c.command[:min(2, len(c.command))], " "), func(t *testing.T) {
			t.Parallel()
			g := &guarded{t: t, servers: g.servers, settings: g.settings}
			args := slices.Concat(c.command, g.args(map[string]string{c.server + "-password-file": wrong}, c.flags...))
			var got answer
			if c.produce {
				got = producing(t, args...)
			} else {
				got = consume(t, "", args...)
			}
			text := got.stdout + got.stderr
			if got.code == cli.ExitOK || got.code == cli.ExitUsage || text == "" {
				t.Errorf("exit %d: nothing was refused\n%s", got.code, text)
			}
			if strings.Contains(text, secret) || strings.Contains(text, g.servers.Password) {
				t.Errorf("a password is shown:\n%s", text)
			}
		})
	}
}
