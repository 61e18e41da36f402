package app

import (
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/doctor"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
)

const oneDay = 24 * time.Hour

func TestHorizonIsHeldAgainstWhatTheTopicKeeps(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name            string
		horizon, window time.Duration
		retention       time.Duration
		refused         string
	}{
		{"none", 0, 7 * oneDay, -1, ""},
		{"as long as both together", 14 * oneDay, 7 * oneDay, 7 * oneDay, ""},
		{"shorter than both together", 14*oneDay - 1, 7 * oneDay, 7 * oneDay, "keeps its events for 168h0m0s"},
		{"a topic that forgets nothing", 1000 * oneDay, 7 * oneDay, -1, "for ever"},
		{"a topic that does not tell", 14 * oneDay, 7 * oneDay, 0, ""},
		{"shorter than the window alone", 7 * oneDay, 7 * oneDay, 0, "want more than the replay window"},
		{"negative", -oneDay, 7 * oneDay, 0, "want 0 or more"},
		{"a negative window", 0, -oneDay, 0, "want 0 or more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := settings.Dedup{Horizon: tt.horizon, ReplayWindow: tt.window}
			err := s.Check()
			if err == nil {
				err = s.CheckRetention("orders", tt.retention)
			}
			switch {
			case tt.refused == "" && err != nil:
				t.Error(err)
			case tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)):
				t.Errorf("got %v, want %q", err, tt.refused)
			}
		})
	}
}

func TestHorizonIsExaminedBeforeAConsumerRuns(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	// The topics do not exist yet: only who creates them can look.
	got := p.run("run", "--exit-at-end", "--dedup-horizon", "200h").want(t, cli.ExitUsage)
	testkit.WantParts(t, got.stderr, "dedup-horizon 200h0m0s: topic "+p.topics.Input+" keeps its events for 168h0m0s", "raise DEDUP_HORIZON")

	found := p.examine(cli.ExitFailed, "--dedup-horizon", "200h")
	expect(t, found, doctor.CheckHorizon, doctor.StatusFail, "keeps its events for 168h0m0s", "raise DEDUP_HORIZON")
	p.run("run", "--dedup-horizon", "200h").want(t, cli.ExitFailed)

	found = p.examine(cli.ExitOK, "--dedup-horizon", "400h")
	expect(t, found, doctor.CheckHorizon, doctor.StatusOK, "400h0m0s: "+p.topics.Input+" keeps events for 168h0m0s", "")
	found = p.examine(cli.ExitOK)
	expect(t, found, doctor.CheckHorizon, doctor.StatusOK, "every order is remembered", "")
}

func TestAnEventFromBeforeTheHorizonIsADeadLetter(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(s *settings.Consumer) { s.Dedup.Horizon = 400 * time.Hour })
	s.stocked(map[string]int64{"apple": 5})
	aged := func(id string, age time.Duration) string {
		return strings.TrimSuffix(create(id, "apple", 1), "}") +
			`,"occurred_at":"` + time.Now().Add(-age).UTC().Format(order.TimeFormat) + `"}`
	}
	s.send(aged("A-1", 401*time.Hour), aged("A-2", 399*time.Hour))
	i := s.open()
	s.settle(i)
	expectSettled(t, i, map[string]int64{"deducted": 1, "dead": 1})
	s.expectLevels(map[string]int64{"apple": 4})
	dead := s.read(s.topics.Dead)
	if len(dead) != 1 || header(dead[0], order.HeaderErrorCode) != order.CodeTooOld {
		t.Errorf("dead letters %+v", dead)
	}
	s.expectOutcomes(map[string][]string{"A-1": {"dead"}, "A-2": {"deducted"}})
}
