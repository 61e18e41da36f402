package app

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
)

// createThenCancel is an order that was cancelled, in the log and settled, of which
// the database knows nothing any more.
func createThenCancel(s *shop) {
	s.t.Helper()
	s.stocked(map[string]int64{"apple": 10})
	s.sendMessages(
		order.Message{Topic: s.topics.Input, Key: []byte("A-1"), Value: []byte(create("A-1", "apple", 2))},
		order.Message{Topic: s.topics.Input, Key: []byte("A-1"), Value: []byte(cancelOf("A-1"))})
	s.settle(s.open())
	s.forgetAll()
}

// interrupted begins a replay that publishes a message in ten seconds, and stops it
// by a signal behind the first.
func (s *shop) interrupted() shownReplay {
	s.t.Helper()
	args := append([]string{"replay"}, s.replayArgs("--execute", "--reason", "test", "--ramp", "none", "--rate", "0.1")...)
	var stderr bytes.Buffer
	signals, done := make(chan os.Signal, 2), make(chan cli.Exit, 1)
	go func() {
		done <- ProducerProgram{OpenLedger: testkit.OpenLedger}.program().RunUnder(signals, args,
			cli.Streams{Stdin: strings.NewReader(""), Stdout: s.t.Output(), Stderr: &stderr})
	}()
	s.awaitCount(s.topics.Tiers[0].Topic, 1)
	signals <- os.Interrupt
	if code := <-done; code != cli.ExitPartial || !strings.Contains(stderr.String(), " stopped: interrupted\n") {
		s.t.Fatalf("exit %d: %s", code, stderr.String())
	}
	var o shownReplay
	if err := json.Unmarshal([]byte(s.replay("list", "-o", "jsonl").stdout), &o); err != nil || o.Progress.Published != 1 {
		s.t.Fatalf("%v: %+v", err, o)
	}
	return o
}

// The group is down: what the replay has published before it was stopped still
// stands in the retry tier when it goes on.
func TestResumedReplayPublishesTheCancelOfACreateThatIsNotSettledYet(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition)
	createThenCancel(s)
	o := s.interrupted()
	s.replay("resume", o.ID, "--rate", "0").want(t, cli.ExitOK, "published 2 of 2")
	s.settle(s.open())
	s.awaitTiers()
	s.expectLevels(map[string]int64{"apple": 10})
}

func TestReplayThatHoldsBackMoreThanItsPlanIsPartlyDone(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition)
	createThenCancel(s)
	o := s.interrupted()
	// Its own copy is lost, and that of another waits.
	held, err := s.client.Ranges(t.Context(), s.topics.Tiers[0].Topic)
	if err != nil {
		t.Fatal(err)
	}
	s.servers.DeleteRecords(t, s.topics.Tiers[0].Topic, 0, held[0].To)
	s.sendMessages(order.Message{Topic: s.topics.Dead, Key: []byte("A-1"), Value: []byte(create("A-1", "apple", 2))})
	got := s.replay("resume", o.ID, "--rate", "0", "-o", "json").want(t, cli.ExitPartial,
		"held back 1 cancel more than its plan said", "try: consumer group describe")
	var shown shownReplay
	if err := json.Unmarshal([]byte(got.stdout), &shown); err != nil || shown.State != "done" || shown.Progress.Skipped[replay.HeldBack] != 1 {
		t.Errorf("%v: %+v", err, shown)
	}
}

// The group reads the tiers of former settings to their end, so what waits there is
// waited for.
func TestReplayHoldsBackACancelWhoseOrderWaitsInAFormerTier(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition, func(s *settings.Consumer) { s.Group.RetryAfter = []time.Duration{50 * time.Millisecond, time.Hour} })
	s.stocked(map[string]int64{"apple": 10})
	s.send(create("A-1", "pear", 1))
	s.parkInSecondTier()
	s.sendMessages(order.Message{Topic: s.topics.Input, Key: []byte("A-1"), Value: []byte(cancelOf("A-1"))})
	s.settings.Group.RetryAfter = []time.Duration{50 * time.Millisecond, 2 * time.Hour}
	s.replay("--type", "order.cancelled").want(t, cli.ExitOK, "held_back", "its order waits in "+s.topics.Tiers[1].Topic, "nothing to publish")
}
