package app

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/testkit"
)

// consumer is the program with the databases that tests run on.
func consumer() cli.Program { return ConsumerProgram{OpenLedger: testkit.OpenLedger}.program() }

// answer is what a command line came to.
type answer struct {
	code           cli.Exit
	stdout, stderr string
}

// consume carries out one command line of the consumer.
func consume(t *testing.T, stdin string, args ...string) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := consumer().RunUnder(make(chan os.Signal, 2), args,
		cli.Streams{Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr})
	return answer{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// at is consume on one database.
func at(t *testing.T, s *testkit.Servers) func(args ...string) answer {
	t.Helper()
	return func(args ...string) answer {
		t.Helper()
		return consume(t, "", append(args, "--database-url", s.DatabaseURL)...)
	}
}

// want fails the test unless the command ended with code.
func (a answer) want(t *testing.T, code cli.Exit) answer {
	t.Helper()
	if a.code != code {
		t.Fatalf("exit %d, want %d\nstdout: %s\nstderr: %s", a.code, code, a.stdout, a.stderr)
	}
	return a
}

// Nothing listens here.
const (
	nowhereBroker   = "127.0.0.1:1"
	nowhereRedis    = "redis://default:geheim@127.0.0.1:1/0"
	nowhereDatabase = "mysql://orders:geheim@127.0.0.1:1/orders"
)

func TestConsumerWithoutServers(t *testing.T) {
	t.Parallel()
	nowhere := []string{"--kafka-brokers", nowhereBroker, "--redis-url", nowhereRedis, "--database-url", nowhereDatabase}

	t.Run("each command that needs the database says that it does not answer, and what to do", func(t *testing.T) {
		t.Parallel()
		for _, args := range [][]string{
			{"migrate"}, {"migrate", "--status"}, {"stock", "set", "apple", "1"}, {"stock", "add", "apple", "1"},
			{"stock", "get", "apple"}, {"stock", "list"}, {"audit"},
		} {
			got := consume(t, "", append(args, "--database-url", nowhereDatabase)...).want(t, cli.ExitUnreachable)
			testkit.WantParts(t, got.stderr, "127.0.0.1:1", "scripts/servers up", "DATABASE_URL")
			if got.stdout != "" {
				t.Errorf("%v writes %q", args, got.stdout)
			}
		}
	})
	t.Run("run is the default command, and fails at once in the words of doctor", func(t *testing.T) {
		t.Parallel()
		examined := consume(t, "", append([]string{"doctor"}, nowhere...)...).want(t, cli.ExitUnreachable)
		ran := consume(t, "", append([]string{"--exit-at-end"}, nowhere...)...).want(t, cli.ExitUnreachable)
		for line := range strings.Lines(examined.stdout) {
			if strings.HasPrefix(line, "[fail] kafka") || strings.HasPrefix(line, "[fail] database") {
				testkit.WantParts(t, ran.stderr, line)
			}
		}
		testkit.WantParts(t, examined.stdout, "[fail] kafka: ", "[fail] redis 127.0.0.1:1: ", "[fail] database: ", "[warn] topics: not looked at")
	})
	t.Run("no password is ever shown", func(t *testing.T) {
		t.Parallel()
		for _, args := range [][]string{
			append([]string{"doctor"}, nowhere...),
			append([]string{"run"}, nowhere...),
			{"migrate", "--database-url", nowhereDatabase},
			{"doctor", "--database-url", "mysql://orders:geheim/x@127.0.0.1:1/orders", "--redis-url", "redis://:gehei/m:geheim@1"},
			{"stock", "list", "--database-url", "postgres://orders:geheim@127.0.0.1/orders"},
			{"stock", "list", "--database-url", "mysql://orders:geheim@127.0.0.1:1"},
		} {
			got := consume(t, "", args...)
			if got.code == cli.ExitOK || strings.Contains(got.stdout+got.stderr, "geheim") {
				t.Errorf("%v: %+v", args, got)
			}
		}
	})
	t.Run("a URL that makes no sense is a mistake of the command line", func(t *testing.T) {
		t.Parallel()
		got := consume(t, "", "stock", "list", "--database-url", "postgres://orders@localhost/orders").want(t, cli.ExitUsage)
		testkit.WantParts(t, got.stderr, "postgres", "mysql://user:password@host:port/database")
	})
	t.Run("a setting that makes no sense is named before anything is tried", func(t *testing.T) {
		t.Parallel()
		for _, command := range []string{"run", "doctor"} {
			got := consume(t, "", append([]string{command, "--workers", "0"}, nowhere...)...).want(t, cli.ExitUsage)
			if want := "consumer: workers: want 1 to 64, got 0\n"; !strings.HasPrefix(got.stderr, want) {
				t.Errorf("%s says %q, want it to begin with %q", command, got.stderr, want)
			}
		}
	})
	t.Run("help names the environment of each setting, and is no error", func(t *testing.T) {
		t.Parallel()
		got := consume(t, "", "run", "--help").want(t, cli.ExitOK)
		testkit.WantParts(t, got.stdout, "$KAFKA_BROKERS", "$REDIS_URL", "$DATABASE_URL", "$ORDERS_GROUP", "--exit-at-end", "$WORKERS")
	})
	t.Run("version", func(t *testing.T) {
		t.Parallel()
		got := consume(t, "", "version").want(t, cli.ExitOK)
		testkit.WantParts(t, got.stdout, "consumer ")
	})
}

func TestEnvironmentComesBeforeDefaultsAndFlagsBeforeIt(t *testing.T) {
	t.Setenv("DATABASE_URL", "mysql://orders:geheim@127.0.0.1:1/fromenvironment")
	got := consume(t, "", "stock", "list").want(t, cli.ExitUnreachable)
	testkit.WantParts(t, got.stderr, "fromenvironment")
	got = consume(t, "", "stock", "list", "--database-url", "mysql://orders:geheim@127.0.0.1:1/fromflag").want(t, cli.ExitUnreachable)
	testkit.WantParts(t, got.stderr, "fromflag")
	got = consume(t, "", "stock", "list", "--help").want(t, cli.ExitOK)
	if strings.Contains(got.stdout, "geheim") {
		t.Errorf("help shows the environment's password: %s", got.stdout)
	}
}
