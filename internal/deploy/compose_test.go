// Package deploy has no code: its tests hold the files that start the programs,
// docker-compose.yml and Dockerfile, against what the programs and the other
// scripts expect. There is not always an engine to try the files on.
package deploy

import (
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderconsumer/internal/app"
	"orderconsumer/internal/settings"
)

// root is the repository, seen from here.
const root = "../.."

func TestComposeFile(t *testing.T) {
	t.Parallel()
	project := load(t)

	t.Run("has three servers and the consumer", func(t *testing.T) {
		t.Parallel()
		want := []string{"consumer", "kafka", "mysql", "redis"}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(project.Services))); diff != "" {
			t.Errorf("services (-want +got):\n%s", diff)
		}
	})
	t.Run("pins every server to a patch release", func(t *testing.T) {
		t.Parallel()
		exact := regexp.MustCompile(`:\d+\.\d+\.\d+(-alpine)?$`)
		for _, name := range []string{"kafka", "mysql", "redis"} {
			if image := project.Services[name].Image; !exact.MatchString(image) {
				t.Errorf("%s: want an image with an exact version, got %q", name, image)
			}
		}
	})
	t.Run("runs what the tests run", func(t *testing.T) {
		t.Parallel()
		kafka := first(t, `(?m)^kafka_version=(\S+)$`, read(t, "scripts/servers.d/kafka.sh"))
		for name, prefix := range map[string]string{
			"kafka": "apache/kafka:" + kafka, // the tests' own version
			"mysql": "mysql:9.7.",            // the tests' release; which patch of it Debian has changes
			"redis": "redis:7.0.",
		} {
			if image := project.Services[name].Image; !strings.HasPrefix(image, prefix) {
				t.Errorf("%s: want image %s..., got %q", name, prefix, image)
			}
		}
	})
	t.Run("looks after the health of every service", func(t *testing.T) {
		t.Parallel()
		for name, service := range project.Services {
			check := service.HealthCheck
			if check == nil || check.Disable || len(check.Test) < 2 {
				t.Errorf("%s has no health check", name)
				continue
			}
			if check.Interval == 0 || check.Timeout == 0 || check.StartPeriod == 0 || check.Retries == 0 {
				t.Errorf("%s: the health check leaves its times to the engine: %+v", name, check)
			}
		}
	})
	t.Run("is served to this machine alone", func(t *testing.T) {
		t.Parallel()
		for name, service := range project.Services {
			for _, port := range service.Ports {
				if port.host != "127.0.0.1" {
					t.Errorf("%s: port %s is published on %q", name, port.published, port.host)
				}
			}
		}
	})
}

func TestComposeServers(t *testing.T) {
	t.Parallel()
	project, defaults := load(t), byDefault(t)

	t.Run("are where the programs look by default", func(t *testing.T) {
		t.Parallel()
		for name, addresses := range map[string][]string{
			"kafka": defaults.Kafka.Brokers,
			"redis": defaults.Redis.URLs,
			"mysql": {defaults.Database.URL},
		} {
			if len(addresses) != 1 {
				t.Fatalf("%s: want one address by default, got %q", name, addresses)
			}
			ports := project.Services[name].Ports
			if want := portOf(t, addresses[0]); len(ports) != 1 || ports[0].published != want {
				t.Errorf("%s: want port %s published, got %+v", name, want, ports)
			}
		}
	})
	t.Run("let the default database URL in", func(t *testing.T) {
		t.Parallel()
		at, err := url.Parse(defaults.Database.URL)
		if err != nil {
			t.Fatal(err)
		}
		password, _ := at.User.Password()
		want := map[string]string{
			"MYSQL_USER":     at.User.Username(),
			"MYSQL_PASSWORD": password,
			"MYSQL_DATABASE": strings.TrimPrefix(at.Path, "/"),
		}
		for key, value := range want {
			if got := variable(t, project.Services["mysql"], key); got != value {
				t.Errorf("mysql: want %s=%s, got %s", key, value, got)
			}
		}
	})
	t.Run("tell host and containers apart", func(t *testing.T) {
		t.Parallel()
		// A broker that advertises one name to all is out of reach of the one or
		// the other after the first answer.
		got := variable(t, project.Services["kafka"], "KAFKA_ADVERTISED_LISTENERS")
		inside := variable(t, project.Services["consumer"], "KAFKA_BROKERS")
		if want := "INTERNAL://" + inside + ",HOST://" + defaults.Kafka.Brokers[0]; got != want {
			t.Errorf("advertised listeners: want %s, got %s", want, got)
		}
	})
	t.Run("make no topic of a spelling mistake", func(t *testing.T) {
		t.Parallel()
		if got := variable(t, project.Services["kafka"], "KAFKA_AUTO_CREATE_TOPICS_ENABLE"); got != "false" {
			t.Errorf("want auto-creation off, got %q", got)
		}
	})
	t.Run("keep locks rather than memory", func(t *testing.T) {
		t.Parallel()
		command := strings.Join(project.Services["redis"].Command, " ")
		if !strings.Contains(command, "--maxmemory-policy noeviction") {
			t.Errorf("redis may evict locks: %s", command)
		}
	})
	t.Run("keep their durability", func(t *testing.T) {
		t.Parallel()
		command := strings.Join(project.Services["mysql"].Command, " ")
		for _, setting := range []string{"sync-binlog", "flush-log", "log-bin", "doublewrite"} {
			if strings.Contains(strings.ReplaceAll(command, "_", "-"), setting) {
				t.Errorf("mysql: %s is not left at its default: %s", setting, command)
			}
		}
	})
}

func TestComposeConsumer(t *testing.T) {
	t.Parallel()
	consumer, defaults := load(t).Services["consumer"], byDefault(t)

	t.Run("can be scaled", func(t *testing.T) {
		t.Parallel()
		if consumer.ContainerName != "" {
			t.Errorf("container name %q can be had once", consumer.ContainerName)
		}
		for _, port := range consumer.Ports {
			if port.published != "" && !strings.Contains(port.published, "-") {
				t.Errorf("host port %s can be had once", port.published)
			}
		}
	})
	t.Run("waits for servers that answer", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"kafka", "mysql", "redis"} {
			if got := consumer.DependsOn[name].Condition; got != "service_healthy" {
				t.Errorf("%s: want condition service_healthy, got %q", name, got)
			}
		}
	})
	t.Run("asks the servers by the names they have among containers", func(t *testing.T) {
		t.Parallel()
		for key, address := range map[string]string{
			"kafka": "kafka://" + variable(t, consumer, "KAFKA_BROKERS"),
			"redis": variable(t, consumer, "REDIS_URL"),
			"mysql": variable(t, consumer, "DATABASE_URL"),
		} {
			at, err := url.Parse(address)
			if err != nil || at.Hostname() != key {
				t.Errorf("want host %s in %s (%v)", key, address, err)
			}
		}
		inside := strings.ReplaceAll(defaults.Database.URL, "localhost", "mysql")
		if got := variable(t, consumer, "DATABASE_URL"); got != inside {
			t.Errorf("want database %s, got %s", inside, got)
		}
	})
	t.Run("serves all addresses of its container on the published port", func(t *testing.T) {
		t.Parallel()
		if got := variable(t, consumer, "HTTP_ADDR"); got != "0.0.0.0:8080" {
			t.Errorf("want 0.0.0.0:8080, got %s", got)
		}
		for _, port := range consumer.Ports {
			if port.target != "8080" {
				t.Errorf("want port 8080 published, got %s", port.target)
			}
		}
	})
	t.Run("has no more rights than it needs", func(t *testing.T) {
		t.Parallel()
		if consumer.User != "65534:65534" {
			t.Errorf("want user 65534:65534, got %q", consumer.User)
		}
		if !consumer.ReadOnly {
			t.Error("its file system can be written to")
		}
		want := [][]string{{"/tmp"}, {"ALL"}, {"no-new-privileges:true"}}
		got := [][]string{consumer.Tmpfs, consumer.CapDrop, consumer.SecurityOpt}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("tmpfs, dropped capabilities, security options (-want +got):\n%s", diff)
		}
		if consumer.Privileged || len(consumer.CapAdd) > 0 {
			t.Errorf("privileged %t, capabilities added %v", consumer.Privileged, consumer.CapAdd)
		}
	})
	t.Run("is given time to drain", func(t *testing.T) {
		t.Parallel()
		// However the two overlap: killed half-way, what was in flight is done again.
		least := defaults.Member.DrainTimeout + defaults.Flow.TransactionTimeout
		if got := consumer.StopGrace; got < least {
			t.Errorf("want a stop grace period of at least %s, got %s", least, got)
		}
	})
	t.Run("is told what it understands", func(t *testing.T) {
		t.Parallel()
		var help, errs strings.Builder
		if code := app.Consumer([]string{"run", "--help"}, strings.NewReader(""), &help, &errs); code != 0 {
			t.Fatalf("run --help: exit code %d\n%s", code, errs.String())
		}
		for key := range consumer.Environment {
			if !strings.Contains(help.String(), "($"+key+")") {
				t.Errorf("%s is no setting of consumer run", key)
			}
		}
	})
	t.Run("is ready when its servers are", func(t *testing.T) {
		t.Parallel()
		want := []string{"CMD", "/consumer", "health", "--ready"}
		if diff := cmp.Diff(want, consumer.HealthCheck.Test); diff != "" {
			t.Errorf("health check (-want +got):\n%s", diff)
		}
	})
}

// variable is an environment variable of a service, which has to be there.
func variable(t *testing.T, of *service, key string) string {
	t.Helper()
	value, ok := of.Environment[key]
	if !ok {
		t.Fatalf("%s is not set", key)
	}
	return value
}

// byDefault is what the consumer does when it is told nothing.
func byDefault(t *testing.T) settings.Consumer {
	t.Helper()
	defaults, err := settings.DefaultConsumer()
	if err != nil {
		t.Fatal(err)
	}
	return defaults
}

// portOf is the port of a URL, or of host:port.
func portOf(t *testing.T, address string) string {
	t.Helper()
	if !strings.Contains(address, "://") {
		address = "tcp://" + address
	}
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return at.Port()
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(root + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// first is what the group of a pattern matches first.
func first(t *testing.T, pattern, text string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("nothing matches %s", pattern)
	}
	return match[1]
}
