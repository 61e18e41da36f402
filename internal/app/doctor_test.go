package app

import (
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/doctor"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
)

// patient is one test's servers, and the settings that lead to them.
type patient struct {
	t       *testing.T
	servers *testkit.Servers
	topics  order.Topics
	args    []string
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{t: t, servers: testkit.Start(t)}
	topic, group := testkit.Unique("orders"), testkit.Unique("group")
	p.topics = order.NewTopics(topic, group, []time.Duration{time.Millisecond, 2 * time.Millisecond})
	p.args = []string{
		"--kafka-brokers", strings.Join(p.servers.Brokers, ","),
		"--redis-url", strings.Join(p.servers.RedisURLs, ","),
		"--database-url", p.servers.DatabaseURL,
		"--topic", topic, "--group", group, "--retry-after", "1ms,2ms", "--partitions", "3", "--http", "",
	}
	return p
}

// run carries out a command with the settings, but for those it is given.
func (p *patient) run(args ...string) answer {
	p.t.Helper()
	line := slices.Clone(args)
	for setting := range slices.Chunk(p.args, 2) {
		if !slices.Contains(args, setting[0]) {
			line = append(line, setting...)
		}
	}
	return consume(p.t, "", line...)
}

// examine is doctor's answer, by the names of the checks.
func (p *patient) examine(code cli.Exit, args ...string) map[string]doctor.Finding {
	p.t.Helper()
	got := p.run(append([]string{"doctor", "-o", "json"}, args...)...).want(p.t, code)
	var whole examined
	err := json.Unmarshal([]byte(got.stdout), &whole)
	if err != nil || whole.OK != (code == cli.ExitOK) {
		p.t.Fatalf("%v: %s", err, got.stdout)
	}
	found := make(map[string]doctor.Finding)
	for _, f := range whole.Checks {
		found[f.Name] = f
	}
	return found
}

// expect compares one finding; what and fix are parts of the texts.
func expect(t *testing.T, found map[string]doctor.Finding, name string, want doctor.Status, what, fix string) {
	t.Helper()
	got, ok := found[name]
	if !ok || got.Status != want || !strings.Contains(got.What, what) || !strings.Contains(got.Fix, fix) {
		t.Errorf("%s: got %q %+v, want %s, %q and %q", name, got, got, want, what, fix)
	}
}

// create makes topics beforehand.
func (p *patient) create(specs ...kafka.TopicSpec) {
	p.t.Helper()
	client := kafka.Connect(kafka.Config{Brokers: p.servers.Brokers})
	defer client.Close()
	_, err := client.EnsureTopics(p.t.Context(), specs)
	if err != nil {
		p.t.Fatal(err)
	}
}

// examine is what doctor finds in a shop, by the names of the checks.
func (s *shop) examine() map[string]doctor.Finding {
	s.t.Helper()
	d := doctor.Doctor{Settings: s.settings, Open: testkit.OpenLedger, Program: "consumer", Patience: doctor.CheckTimeout}
	found := make(map[string]doctor.Finding)
	for _, f := range d.Examine(s.t.Context()) {
		found[f.Name] = f
	}
	return found
}

func TestDoctorOnAShopThatIsWell(t *testing.T) {
	t.Parallel()
	p := newPatient(t)

	found := p.examine(cli.ExitFailed)
	expect(t, found, doctor.CheckTopics, doctor.StatusFail, "missing: "+p.topics.Input+", ", "consumer run")
	expect(t, found, doctor.CheckGroup, doctor.StatusOK, "has no members", "")

	ran := p.run("run", "--exit-at-end", "--log-format", "text").want(t, cli.ExitOK)
	testkit.WantParts(t, ran.stderr, "topic created", "settled 0 events")

	found = p.examine(cli.ExitOK)
	expect(t, found, doctor.CheckBrokers, doctor.StatusOK, "1 broker, reached through "+p.servers.Brokers[0], "")
	expect(t, found, doctor.CheckTopics, doctor.StatusOK, "all 5 are there, "+p.topics.Input+" has 3 partitions", "")
	expect(t, found, doctor.CheckPartitions, doctor.StatusOK, "3", "")
	expect(t, found, doctor.CheckMessageSize, doctor.StatusOK, "1048588 bytes", "")
	expect(t, found, doctor.CheckReplication, doctor.StatusWarn, "one copy only of all 5 topics", "TOPIC_REPLICATION=3")
	expect(t, found, doctor.CheckRetention, doctor.StatusOK, "are kept until somebody removes them", "")
	expect(t, found, doctor.CheckGroup, doctor.StatusOK, "(empty)", "")
	expect(t, found, doctor.CheckOffsets, doctor.StatusOK, "0 messages to be settled", "")
	expect(t, found, doctor.CheckDatabase, doctor.StatusOK, "", "")
	expect(t, found, doctor.CheckMigrations, doctor.StatusOK, "none to apply", "")
	expect(t, found, doctor.CheckPrivileges, doctor.StatusOK, "", "")
	expect(t, found, doctor.CheckClock, doctor.StatusOK, "within 1s of redis 127.0.0.1:", "")
	expect(t, found, doctor.CheckCache, doctor.StatusOK, "the Redis of REDIS_URL", "")
	if testkit.Real() {
		expect(t, found, doctor.CheckLock, doctor.StatusOK, "3 independent masters", "")
		expect(t, found, doctor.CheckDurability, doctor.StatusOK, "on disk before they are answered", "")
	} else {
		expect(t, found, doctor.CheckLock, doctor.StatusWarn, "does not tell its maxmemory-policy", "noeviction")
	}

	t.Run("the text has one line for each, in the same words", func(t *testing.T) {
		t.Parallel()
		got := p.run("doctor").want(t, cli.ExitOK)
		for _, f := range found {
			if !f.Skipped && f.Name != doctor.CheckClock {
				testkit.WantParts(t, got.stdout, f.String()+"\n")
			}
		}
		if n := strings.Count(got.stdout, "\n"); n != len(found) || got.stderr != "" {
			t.Errorf("%d lines for %d checks, stderr %q", n, len(found), got.stderr)
		}
	})
	t.Run("a line each, for programs", func(t *testing.T) {
		t.Parallel()
		got := p.run("doctor", "-o", "jsonl").want(t, cli.ExitOK)
		for line := range strings.Lines(got.stdout) {
			var f doctor.Finding
			err := json.Unmarshal([]byte(line), &f)
			if err != nil || f.Name == "" || f.Status == "" || f.What == "" {
				t.Errorf("%q: %v", line, err)
			}
		}
	})
	t.Run("it leaves nothing behind", func(t *testing.T) {
		t.Parallel()
		testkit.WantParts(t, at(t, p.servers)("audit").want(t, cli.ExitOK).stdout, "clean: 0 orders, 0 goods ids, 0 movements")
	})
}

func TestDoctorOnServersThatAreAway(t *testing.T) {
	t.Parallel()
	p := newPatient(t)

	t.Run("no broker: the others are looked at all the same", func(t *testing.T) {
		t.Parallel()
		found := p.examine(cli.ExitUnreachable, "--kafka-brokers", nowhereBroker)
		expect(t, found, doctor.CheckBrokers, doctor.StatusFail, "no broker answers at 127.0.0.1:1: dial tcp 127.0.0.1:1", "KAFKA_BROKERS")
		expect(t, found, doctor.CheckTopics, doctor.StatusWarn, "not looked at", "")
		expect(t, found, doctor.CheckMigrations, doctor.StatusOK, "", "")
		p.run("run", "--kafka-brokers", nowhereBroker).want(t, cli.ExitUnreachable)
	})
	t.Run("no database", func(t *testing.T) {
		t.Parallel()
		found := p.examine(cli.ExitUnreachable, "--database-url", nowhereDatabase)
		expect(t, found, doctor.CheckDatabase, doctor.StatusFail, "127.0.0.1:1", "DATABASE_URL")
		expect(t, found, doctor.CheckMigrations, doctor.StatusWarn, "not looked at", "")
		expect(t, found, doctor.CheckBrokers, doctor.StatusOK, "", "")
		p.run("run", "--database-url", nowhereDatabase).want(t, cli.ExitUnreachable)
	})
	t.Run("brokers without a port", func(t *testing.T) {
		t.Parallel()
		found := p.examine(cli.ExitFailed, "--kafka-brokers", "kafka")
		expect(t, found, doctor.CheckBrokers, doctor.StatusFail, `broker "kafka" has no port`, "KAFKA_BROKERS")
	})
	t.Run("a password file that is not there", func(t *testing.T) {
		t.Parallel()
		found := p.examine(cli.ExitFailed, "--database-password-file", "/nonexistent")
		expect(t, found, doctor.CheckDatabase, doctor.StatusFail, "DATABASE_PASSWORD_FILE", "DATABASE_PASSWORD_FILE")
	})
}

func TestDoctorOnRedis(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	two := strings.Join([]string{nowhereRedis, strings.Replace(nowhereRedis, ":1/", ":2/", 1)}, ",")
	alive := p.servers.RedisURLs[0]

	t.Run("down is a failure for doctor, and for a consumer that must have the lock", func(t *testing.T) {
		t.Parallel()
		found := p.examine(cli.ExitUnreachable, "--redis-url", nowhereRedis)
		expect(t, found, "redis 127.0.0.1:1", doctor.StatusFail, "connection refused", "REDIS_URL")
		expect(t, found, doctor.CheckLock, doctor.StatusWarn, "not looked at", "")
		got := p.run("run", "--exit-at-end", "--redis-url", nowhereRedis, "--lock", "required").want(t, cli.ExitUnreachable)
		testkit.WantParts(t, got.stderr, found["redis 127.0.0.1:1"].String()+"\n")
	})
	t.Run("down is a warning for a consumer that can do without the lock", func(t *testing.T) {
		t.Parallel()
		own := newPatient(t)
		got := own.run("run", "--exit-at-end", "--redis-url", nowhereRedis, "--log-format", "json").want(t, cli.ExitOK)
		testkit.WantParts(t, got.stderr, `"level":"WARN"`, `"check":"redis 127.0.0.1:1"`)
	})
	t.Run("an even number protects from nothing", func(t *testing.T) {
		t.Parallel()
		found := p.examine(cli.ExitFailed, "--redis-url", two)
		expect(t, found, doctor.CheckRedis, doctor.StatusFail, "2 Redis servers", "REDIS_URL")
		p.run("run", "--redis-url", two).want(t, cli.ExitFailed)
	})
	t.Run("one of three away is a failure for doctor, and none that a consumer minds", func(t *testing.T) {
		t.Parallel()
		if !testkit.Real() {
			t.Skip("there is one Redis")
		}
		own := newPatient(t)
		urls := strings.Join([]string{p.servers.RedisURLs[0], p.servers.RedisURLs[1], nowhereRedis}, ",")
		own.examine(cli.ExitUnreachable, "--redis-url", urls)
		own.run("run", "--exit-at-end", "--redis-url", urls, "--lock", "required").want(t, cli.ExitOK)
	})
	t.Run("one server by two names", func(t *testing.T) {
		t.Parallel()
		if !testkit.Real() {
			t.Skip("the embedded one does not say who it is")
		}
		again := strings.Replace(alive, "127.0.0.1", "localhost", 1)
		found := p.examine(cli.ExitFailed, "--redis-url", strings.Join([]string{alive, again, p.servers.RedisURLs[1]}, ","))
		expect(t, found, doctor.CheckLock, doctor.StatusFail, "two addresses of one Redis server", "REDIS_URL")
	})
	t.Run("a lock that is off needs none", func(t *testing.T) {
		t.Parallel()
		own := newPatient(t)
		own.run("run", "--exit-at-end", "--redis-url", nowhereRedis, "--lock", "off").want(t, cli.ExitOK)
		expect(t, own.examine(cli.ExitOK, "--redis-url", nowhereRedis, "--lock", "off"), doctor.CheckRedis, doctor.StatusOK, "not used", "")
	})
	t.Run("a password that is wrong does not heal by itself", func(t *testing.T) {
		t.Parallel()
		if testkit.EmbeddedOnly(t, "the real ones ask for no password") {
			return
		}
		own := newPatient(t)
		own.servers.Embedded.Redis.RequireAuth("geheim")
		name := "redis " + own.servers.Embedded.Redis.Addr()
		found := own.examine(cli.ExitFailed)
		// Topics are missing, too: it is the finding that counts here.
		if f := found[name]; f.Status != doctor.StatusFail || f.Unreachable || !strings.Contains(f.Fix, "REDIS_URL") {
			t.Errorf("got %+v", f)
		}
		own.run("run", "--exit-at-end").want(t, cli.ExitFailed)
	})
	t.Run("a clock that is wrong", func(t *testing.T) {
		t.Parallel()
		if testkit.EmbeddedOnly(t, "the clocks of the real ones are right") {
			return
		}
		own := newPatient(t)
		own.servers.Embedded.Redis.SetTime(time.Now().Add(-time.Minute))
		found := own.examine(cli.ExitFailed)
		expect(t, found, doctor.CheckClock, doctor.StatusWarn, "ahead of redis 127.0.0.1:", "synchronise")
	})
}

func TestDoctorOnTheCache(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	p.run("run", "--exit-at-end").want(t, cli.ExitOK)
	for name, test := range map[string]struct {
		args      []string
		code      cli.Exit
		status    doctor.Status
		what, fix string
	}{
		"one of its own":         {[]string{"--cache-redis-url", p.servers.RedisURLs[0]}, cli.ExitOK, doctor.StatusOK, "the Redis of CACHE_REDIS_URL", ""},
		"one of its own, away":   {[]string{"--cache-redis-url", nowhereRedis}, cli.ExitOK, doctor.StatusWarn, "connection refused", "CACHE_REDIS_URL"},
		"shared, away":           {[]string{"--redis-url", nowhereRedis, "--lock", "off"}, cli.ExitOK, doctor.StatusWarn, "connection refused", "REDIS_URL"},
		"off":                    {[]string{"--cache", "off", "--cache-redis-url", nowhereRedis}, cli.ExitOK, doctor.StatusOK, "not used", ""},
		"no address":             {[]string{"--cache-redis-url", "localhost:6379"}, cli.ExitFailed, doctor.StatusFail, "redis URL", "CACHE_REDIS_URL"},
		"a prefix without a tag": {[]string{"--cache-prefix", "stock:"}, cli.ExitFailed, doctor.StatusFail, "hash tag", "CACHE_PREFIX"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, p.examine(test.code, append(test.args, "--partitions", "3")...), doctor.CheckCache, test.status, test.what, test.fix)
		})
	}
	t.Run("a consumer that cannot have one does not begin", func(t *testing.T) {
		t.Parallel()
		got := p.run("run", "--exit-at-end", "--cache-prefix", "stock:").want(t, cli.ExitFailed)
		testkit.WantParts(t, got.stderr, "cache: ", "hash tag", "CACHE_PREFIX")
	})
	t.Run("a password that is wrong", func(t *testing.T) {
		t.Parallel()
		if testkit.EmbeddedOnly(t, "the real ones ask for no password") {
			return
		}
		other := newPatient(t)
		other.servers.Embedded.Redis.RequireAuth("geheim")
		found := p.examine(cli.ExitOK, "--cache-redis-url", other.servers.RedisURLs[0])
		expect(t, found, doctor.CheckCache, doctor.StatusWarn, "NOAUTH", "user and password")
	})
}

func TestDoctorOnTopics(t *testing.T) {
	t.Parallel()
	t.Run("tiers with other partitions, and too small a dead-letter topic", func(t *testing.T) {
		t.Parallel()
		p := newPatient(t)
		p.create(
			kafka.TopicSpec{Name: p.topics.Input, Partitions: 3, Replication: 1},
			kafka.TopicSpec{Name: p.topics.Tiers[0].Topic, Partitions: 4, Replication: 1},
			kafka.TopicSpec{Name: p.topics.Dead, Partitions: 1, Replication: 1, MaxMessageBytes: 1000},
		)
		found := p.examine(cli.ExitFailed)
		expect(t, found, doctor.CheckPartitions, doctor.StatusWarn, p.topics.Input+" has 3, "+p.topics.Tiers[0].Topic+" has 4", "--partitions 4")
		expect(t, found, doctor.CheckMessageSize, doctor.StatusFail, p.topics.Dead+" takes 1000 bytes", "max.message.bytes=2097152")
		expect(t, found, doctor.CheckRetention, doctor.StatusWarn, p.topics.Dead+" after 168h0m0s", "retention.ms=-1,retention.bytes=-1")
		got := p.run("run", "--exit-at-end").want(t, cli.ExitFailed)
		testkit.WantParts(t, got.stderr, found[doctor.CheckMessageSize].String()+"\n")
	})
	t.Run("a group with members", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		option, reached := settledCounter(1)
		i := s.start(option)
		defer s.end(i)
		s.send(create("A-1", "nonsuch", 1))
		<-reached // it has joined
		expect(t, s.examine(), doctor.CheckGroup, doctor.StatusOK, "has 1 member, which share 9 partitions (stable)", "")
	})
}

func TestDoctorOnMessagesThatWereRemoved(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions = 1 })
	s.stocked(map[string]int64{"apple": 100})
	s.sendMessages(s.orders(0, 10, "apple")...)
	s.settle(s.open())
	s.sendMessages(s.orders(10, 30, "apple")...)
	expect(t, s.examine(), doctor.CheckOffsets, doctor.StatusOK, "20 messages to be settled", "")
	s.servers.DeleteRecords(t, s.topics.Input, 0, 20)
	expect(t, s.examine(), doctor.CheckOffsets, doctor.StatusFail, s.topics.Input+"/0 lost offsets 10 to 19", "consumer run --accept-data-loss")
	s.settings.Member.AcceptDataLoss = true
	expect(t, s.examine(), doctor.CheckOffsets, doctor.StatusWarn, "lost offsets 10 to 19", "")
}

func TestDoctorOnMigrations(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	p.args[slices.Index(p.args, "--database-url")+1] = emptyDatabase(t)

	found := p.examine(cli.ExitFailed)
	expect(t, found, doctor.CheckMigrations, doctor.StatusFail, "not applied, the first is 0", "run: consumer migrate")
	expect(t, found, doctor.CheckPrivileges, doctor.StatusWarn, "not looked at", "")
	got := p.run("run", "--exit-at-end").want(t, cli.ExitFailed)
	testkit.WantParts(t, got.stderr, found[doctor.CheckMigrations].String()+"\n")

	p.run("run", "--exit-at-end", "--migrate").want(t, cli.ExitOK)
	expect(t, p.examine(cli.ExitOK), doctor.CheckMigrations, doctor.StatusOK, "none to apply", "")
}

func TestDoctorDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	addr := silent.Addr().String()
	settings, err := settings.DefaultConsumer()
	if err != nil {
		t.Fatal(err)
	}
	settings.Kafka.Brokers = []string{addr}
	settings.Redis.URLs = []string{"redis://" + addr}
	settings.Database.URL = "mysql://orders:geheim@" + addr + "/orders"
	d := doctor.Doctor{Settings: settings, Open: testkit.OpenLedger, Program: "consumer", Patience: 300 * time.Millisecond}
	began := time.Now()
	found := d.Examine(t.Context())
	// What each check says is whose time was over; the clock is for one that has none.
	if took := time.Since(began); took > testTimeout/2 {
		t.Errorf("took %s", took)
	}
	for name, what := range map[string]string{
		doctor.CheckBrokers:            doctor.ErrNoAnswer.Error(),
		doctor.CheckRedis + " " + addr: "does not answer", // in time for one try, or at all
		doctor.CheckDatabase:           doctor.ErrNoAnswer.Error(),
	} {
		if !slices.ContainsFunc(found, func(f doctor.Finding) bool {
			return f.Name == name && f.Status == doctor.StatusFail && f.Unreachable && strings.Contains(f.What, what) &&
				strings.Contains(f.Fix, "start the servers")
		}) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
