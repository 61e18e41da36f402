package settings

import (
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// FuzzSettings holds that settings are refused in words, or are the same in the
// environment of a process that is given them.
func FuzzSettings(f *testing.F) {
	f.Add("localhost:9092", "orders", "order-consumer", "5s,30s,5m", "0 3 * * *", "0.5", "0s")
	f.Add("a:1,b:2", "", "g/", "5s,5s", "@every 5m", "NaN", "-1s")
	f.Add("a", "o", "g", "1ns", "0 0 31 2 *", "1e309", "2562047h48m")
	f.Add(`a\,b:1`, "..", "x", "", "TZ= * * * * *", "-0", "")
	f.Fuzz(func(t *testing.T, brokers, topic, group, retry, schedule, ratio, horizon string) {
		all := []string{brokers, topic, group, retry, schedule, ratio, horizon}
		if strings.ContainsRune(strings.Join(all, ""), 0) {
			t.Skip() // no process can be given such an argument
		}
		s, err := parseSettings("--kafka-brokers="+brokers, "--topic="+topic, "--group="+group, "--retry-after="+retry,
			"--audit-schedule="+schedule, "--max-dead-ratio="+ratio, "--dedup-horizon="+horizon)
		if err != nil {
			return
		}
		err = s.Check()
		client, clientErr := s.Kafka.Client("fuzz")
		if clientErr == nil {
			client.Close()
		}
		if err != nil || clientErr != nil {
			return
		}
		share := s.Flow.MaxDeadRatio >= 0 && s.Flow.MaxDeadRatio <= 1 // NaN is none
		if !share || s.Dedup.Horizon < 0 || !legalTopic(s.Group.Topic) {
			t.Errorf("accepted %+v", s)
		}
		for i, delay := range s.Group.RetryAfter {
			if delay <= 0 || i > 0 && delay <= s.Group.RetryAfter[i-1] || delay > 100*365*24*time.Hour {
				t.Errorf("accepted tiers of %v", s.Group.RetryAfter)
			}
		}
		environment, err := EnvironmentOf(&s)
		if err != nil {
			t.Fatal(err)
		}
		for _, assignment := range environment {
			if name, value, ok := strings.Cut(assignment, "="); ok {
				t.Setenv(name, value)
			}
		}
		again, err := parseSettings()
		if err != nil {
			t.Fatalf("%q: %v", environment, err)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Errorf("settings of a process that was given them:\n%s", diff)
		}
	})
}

// parseSettings are settings by flags, the environment and defaults.
func parseSettings(args ...string) (s Consumer, err error) {
	parser, err := kong.New(&s)
	if err == nil {
		_, err = parser.Parse(args)
	}
	return s, err
}
