package lock

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		given Config
		want  Config // the zero value: refused
	}{
		"is complete when empty": {
			Config{},
			Config{DefaultPrefix, 3 * time.Second, time.Second, 300 * time.Millisecond, time.Millisecond, 5 * time.Millisecond},
		},
		"follows a short expiry": {
			Config{Expiry: 60 * time.Millisecond},
			Config{DefaultPrefix, 60 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond, time.Millisecond, 5 * time.Millisecond},
		},
		"may never extend": {
			Config{ExtendEvery: -1},
			Config{DefaultPrefix, 3 * time.Second, -1, 300 * time.Millisecond, time.Millisecond, 5 * time.Millisecond},
		},
		"wants an expiry":                     {given: Config{Expiry: time.Millisecond}},
		"wants whole milliseconds":            {given: Config{Expiry: time.Second + time.Microsecond}},
		"wants answers before the expiry":     {given: Config{TryTimeout: 3 * time.Second}},
		"wants extensions before the expiry":  {given: Config{ExtendEvery: 2900 * time.Millisecond}},
		"wants no negative try timeout":       {given: Config{TryTimeout: -1}},
		"wants pauses that can be told apart": {given: Config{PollMin: 3 * time.Millisecond, PollMax: 5 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.given.withDefaults()
			if refused := test.want == (Config{}); refused != (err != nil) {
				t.Fatalf("error: got %v, want one: %v", err, refused)
			}
			if err == nil && got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()

	t.Run("stay in their bounds and grow", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			shortest := time.Duration(rapid.Int64Range(1, int64(time.Second)).Draw(t, "shortest"))
			longest := 2*shortest + time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "more"))
			base := shortest
			for range rapid.IntRange(1, 300).Draw(t, "pauses") {
				pause, next := nextPause(base, longest, rapid.Float64Range(0, 1).Draw(t, "chance"))
				if pause < shortest || pause > longest || pause < base || pause > 2*base {
					t.Fatalf("pause %v: want from %v to %v, within %v and %v", pause, base, 2*base, shortest, longest)
				}
				if next < base {
					t.Fatalf("base fell from %v to %v", base, next)
				}
				base = next
			}
		})
	})

	t.Run("of the default are 1 to 2 ms at first and 5 ms at most", func(t *testing.T) {
		t.Parallel()
		least, next := nextPause(DefaultPollMin, DefaultPollMax, 0)
		most, _ := nextPause(DefaultPollMin, DefaultPollMax, 1)
		if least != time.Millisecond || most != 2*time.Millisecond {
			t.Errorf("first pause: got %v to %v, want 1ms to 2ms", least, most)
		}
		for range 50 {
			most, next = nextPause(next, DefaultPollMax, 1)
		}
		if most != DefaultPollMax {
			t.Errorf("after many: got %v at most, want %v", most, DefaultPollMax)
		}
	})
}

func TestClusterNeedsHashTag(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]bool{
		DefaultPrefix: true, "{job}": true, "a{b}c{": true,
		"lock:goods:": false, "lock:{}:": false, "lock:{goods:": false, "lock:}goods{:": false,
	} {
		cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
		l, err := New([]redis.UniversalClient{cluster}, Config{Prefix: prefix})
		if got := err == nil; got != want {
			t.Errorf("prefix %q: got accepted %v, want %v", prefix, got, want)
		}
		if err == nil {
			l.Close()
		}
		cluster.Close()
	}
}

// FuzzMakeKeys holds the keys against plain concatenation.
func FuzzMakeKeys(f *testing.F) {
	f.Add("lock:{goods}:", "421", "")
	f.Fuzz(func(t *testing.T, prefix, a, b string) {
		got := makeKeys(prefix, []string{a, b, a})
		for i, want := range []string{prefix + a, prefix + b, prefix + a} {
			if got[i] != want {
				t.Errorf("key %d: got %q, want %q", i, got[i], want)
			}
		}
	})
}
