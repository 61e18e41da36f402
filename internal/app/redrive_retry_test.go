package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/testkit"
)

// retry carries out producer redrive retry and returns its whole answer.
func (s *shop) retry(code cli.Exit, args ...string) fullAnswer {
	s.t.Helper()
	got := s.redrive(append([]string{"retry", "-o", "json"}, args...)...).want(s.t, code)
	var a fullAnswer
	if err := json.Unmarshal([]byte(got.stdout), &a); err != nil {
		s.t.Fatalf("%v in %s", err, tail(got.stdout))
	}
	return a
}

func TestRedriveStopsAtItsRampWhenHalfOfTheLettersFailAgain(t *testing.T) {
	t.Parallel()
	const letters = 1000
	s := newShop(t, func(s *settings.Consumer) { s.Flow.MaxDeadRatio = 0 })
	s.stocked(map[string]int64{"apple": 1})
	var messages []order.Message
	for n := range letters {
		id := fmt.Sprint("A-", n)
		messages = append(messages, order.Message{Topic: s.topics.Input, Key: []byte(id), Value: []byte(create(id, []string{"quince", "nonsuch"}[n%2], 1))})
	}
	s.sendMessages(messages...)
	s.settle(s.open())
	s.stocked(map[string]int64{"quince": letters}) // half of them are healed

	plan := s.retry(cli.ExitOK, "--cause", "goods_unknown")
	if n := plan.classes()[replay.WillDeduct]; n != letters/2 || plan.Plan.Selected != letters {
		t.Fatalf("%d of %d would deduct, want %d of %d", n, plan.Plan.Selected, letters/2, letters)
	}
	if n := len(s.read(s.topics.Tiers[0].Topic)); n != letters {
		t.Fatalf("a plan has published: %d in the first tier, want %d of the first time", n, letters)
	}

	s.running()
	do := []string{"--cause", "goods_unknown", "--execute", "--reason", "quince has come", "--rate", "0"}
	first := s.retry(cli.ExitPartial, append(do, "--ramp", "1,10,100,rest", "--max-failed", "0.2")...)
	if p := first.Replay.Progress; first.Replay.Kind != replay.KindRedrive || first.Replay.State != "stopped" || p.Published > 111 || p.FailedAgain() == 0 {
		t.Fatalf("it went on: %+v", first.Replay)
	}
	s.replay("resume", first.Replay.ID, "--max-failed", "1", "--rate", "0").want(t, cli.ExitOK, "is done")
	s.awaitTiers()
	s.expectLevels(map[string]int64{"quince": letters / 2})
	// What failed again is an open letter once; its older one is superseded.
	if n := len(s.letters("open")); n != letters/2 {
		t.Errorf("%d orders have open letters, want %d", n, letters/2)
	}
	again := s.retry(cli.ExitOK, "--cause", "goods_unknown")
	if n := again.classes()[replay.WillDeduct]; n != 0 {
		t.Errorf("%d would deduct once more", n)
	}
}

// A cancel goes behind its create, and waits for one that is left behind, unless
// somebody has decided that nothing is to be done about that.
func TestRedriveKeepsTheOrderOfAnOrdersEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition, func(s *settings.Consumer) { s.Flow.MaxDeadRatio = 0 })
	s.stocked(map[string]int64{"apple": 10})
	for _, id := range []string{"A-1", "A-2"} {
		s.sendMessages(
			order.Message{Topic: s.topics.Input, Key: []byte(id), Value: []byte(create(id, "apple", 2))},
			order.Message{Topic: s.topics.Input, Key: []byte(id), Value: []byte(cancelOf(id))})
	}
	broken := errors.New("a bug")
	s.settle(s.open(faulty(&faultyLedger{before: func(context.Context, []stock.Request) error { return broken }})))

	if got := s.retry(cli.ExitOK).classes(); got[replay.WillDeduct] != 2 || got[replay.WillRelease] != 2 {
		t.Errorf("all of them: %v", got)
	}
	if got := s.retry(cli.ExitOK, "--type", "order.cancelled").classes(); got[replay.HeldBack] != 2 {
		t.Errorf("cancels alone: %v", got)
	}
	s.redrive("archive", "--order", "A-2", "--type", "order.created", "--note", "the shop is closed", "--execute").want(t, cli.ExitOK)
	if got := s.retry(cli.ExitOK, "--type", "order.cancelled").classes(); got[replay.HeldBack] != 1 || got[replay.WillVoid] != 1 {
		t.Errorf("cancels alone, one create archived: %v", got)
	}
	s.running()
	s.retry(cli.ExitOK, "--order", "A-1", "--execute", "--reason", "the bug is gone")
	s.awaitTiers()
	s.expectLevels(map[string]int64{"apple": 10})
	if open := s.letters("open"); len(open["A-1"]) != 0 || len(open["A-2"]) != 1 {
		t.Errorf("still open: %+v", open)
	}
}

func TestRedriveRetryRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	s := deadDay(t)
	testkit.WantParts(t, s.redrive("retry", "--execute", "--reason", "all").want(t, cli.ExitUsage).stderr, "which ones?", "redrive groups")
	testkit.WantParts(t, s.redrive("retry", "--order", "A-1", "--execute").want(t, cli.ExitUsage).stderr, "needs a reason")
	testkit.WantParts(t, s.redrive("retry", "--order", "nonsuch").want(t, cli.ExitNothing).stderr, "no letter is like that and open", "redrive list")
	testkit.WantParts(t, s.redrive("retry", "x").want(t, cli.ExitUsage).stderr, "want partition/offset")
}
