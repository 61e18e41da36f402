package settings

import (
	"net"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/kafka"
)

func TestDefaultSettings(t *testing.T) {
	t.Setenv("WORKERS", "9")
	t.Setenv("KAFKA_BROKERS", "elsewhere:1")
	s, err := DefaultConsumer()
	if err != nil {
		t.Fatal(err)
	}
	if s.Flow.Workers != 3 || s.Kafka.Brokers[0] != "localhost:9092" || len(s.Group.RetryAfter) != 3 {
		t.Errorf("the environment shows in the defaults: %+v", s)
	}
	if host, _, err := net.SplitHostPort(s.HTTP); err != nil || host != "localhost" {
		t.Errorf("by default %s is served, not this machine alone (%v)", s.HTTP, err)
	}
	if err := s.Check(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}

func TestSettingsThatCannotWorkAreRefusedAllAtOnce(t *testing.T) {
	t.Parallel()
	s, err := DefaultConsumer()
	if err != nil {
		t.Fatal(err)
	}
	s.Flow.Workers = 0
	s.Flow.MaxDeadRatio = 1.5
	s.Member.DrainTimeout = time.Minute
	s.Group.RetryAfter = []time.Duration{time.Second, time.Second}
	s.HTTP = "localhost:99999"
	err = s.Check()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"workers", "max-dead-ratio", "drain-timeout", "retry-after", "http"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}

func TestAddressesThatCanBeListenedOn(t *testing.T) {
	t.Parallel()
	for addr, can := range map[string]bool{"localhost:8080": true, ":8080": true, "[::1]:0": true, "0.0.0.0:http": true, "8080": false, "localhost": false, "localhost:99999": false, "localhost:-1": false} {
		if listenable(addr) != can {
			t.Errorf("address %q: can be listened on is %v", addr, !can)
		}
	}
}

func TestWhatFailedIsKept(t *testing.T) {
	t.Parallel()
	s, err := DefaultConsumer()
	if err != nil {
		t.Fatal(err)
	}
	topics := s.Group.Topics()
	for _, spec := range s.TopicSpecs() {
		want := TierRetention
		switch spec.Name {
		case topics.Input, topics.Results:
			want = 0
		case topics.Dead:
			want = kafka.Forever
		}
		if spec.Retention != want {
			t.Errorf("%s is created with retention %s, want %s", spec.Name, spec.Retention, want)
		}
	}
}

func TestSettingsKafkaWouldNotTakeAreRefused(t *testing.T) {
	t.Parallel()
	for name, legal := range map[string]bool{"orders": true, "a.B_c-9": true, "": false, "bad topic!": false, "a/b": false, strings.Repeat("x", 250): false} {
		if legalTopic(name) != legal {
			t.Errorf("topic %q: legal is %v", name, !legal)
		}
	}
}
