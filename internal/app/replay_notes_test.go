package app

import (
	"strings"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
)

// What the group is going to read in any case, the plan counts apart: it comes about
// without a replay.
func TestPlanCountsWhatTheGroupHasNotSettledYet(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.stocked(map[string]int64{"apple": 100})
	s.sendMessages(s.orders(0, 3, "apple")...)
	s.settle(s.open())
	if got := s.replay().want(t, cli.ExitOK, "no stock changes"); strings.Contains(got.stdout, "not settled") {
		t.Errorf("all is settled: %s", got.stdout)
	}
	s.sendMessages(s.orders(3, 5, "apple")...)
	s.replay().want(t, cli.ExitOK, "5 of 5 messages would be published",
		"2 of them group "+s.settings.Group.Group+" has not settled yet: it reads them in any case")
	if plan := s.replay("-o", "json").answer(t); plan.Plan.Unsettled != 2 {
		t.Errorf("%d are not settled, want 2", plan.Plan.Unsettled)
	}
}

// A selection that may leave out the cancel of an order that it takes says so, where
// an order would take anything.
func TestPlanOfAPartSaysThatCancelsMayBeOutside(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition)
	s.stocked(map[string]int64{"apple": 100})
	s.sendMessages(
		order.Message{Topic: s.topics.Input, Key: []byte("A-1"), Value: []byte(create("A-1", "apple", 2))},
		order.Message{Topic: s.topics.Input, Key: []byte("A-1"), Value: []byte(cancelOf("A-1"))})
	s.settle(s.open())
	const note = "Only a part of "
	says := func(want bool, args ...string) {
		t.Helper()
		if got := s.replay(args...).want(t, cli.ExitOK); strings.Contains(got.stdout, note) != want {
			t.Errorf("%v: said %t, want %t:\n%s", args, !want, want, got.stdout)
		}
	}
	says(false, "--to", "1")
	s.forget("A-1")
	says(true, "--to", "1")
	says(true, "--type", "order.created")
	says(true, "--max-messages", "1")
	says(false)
	says(false, "--order", "A-1")
}
