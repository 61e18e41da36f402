package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/audit"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/report"
	"orderconsumer/internal/stock"
)

// What the audit finds about events, a replay of the findings mends: events that
// are lost, a cancel without effect, an order without an answer.
func TestFindingsAboutEventsCanBeReplayed(t *testing.T) {
	t.Parallel()
	s := mixedDay(t)
	s.sendMessages(order.Message{Topic: s.topics.Input, Key: []byte("A-8"), Value: []byte(create("A-8", "apple", 1))})
	s.group("reset", "--to", "end", "--execute").want(t, cli.ExitOK) // are skipped
	for _, m := range s.read(s.topics.Input) {
		if string(m.Key) != "A-8" {
			continue
		}
		// Recorded, and nobody was told.
		_, err := s.ledger.Apply(t.Context(), []stock.Request{{Order: "A-8", Action: stock.Deduct, Attempt: 1,
			Lines: []stock.Line{{Goods: "apple", Num: 1}}, Origin: stock.Origin{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.forget("A-1")
	s.exec("UPDATE orders SET state = 'deducted', released_at = NULL WHERE order_id = ?", []byte("A-3"))
	s.exec("DELETE FROM movements WHERE ref = ? AND kind = 'release'", []byte("A-3"))
	s.exec("UPDATE stock SET available = available - 1 WHERE goods_id = ?", []byte("apple"))

	found, _, raw := s.audit(cli.ExitFailed)
	rules := make(map[audit.Rule]int)
	for _, f := range found {
		rules[f.Rule]++
	}
	want := map[audit.Rule]int{audit.RuleLost: 3, audit.RuleNotReleased: 1, audit.RuleUnanswered: 1}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Fatalf("findings (-want +got):\n%s", diff)
	}
	a := s.replayFrom(raw, "--findings", "-", "-o", "json").want(t, cli.ExitOK, "0 findings about something else").answer(t)
	classes := map[replay.Class]int64{replay.WillDeduct: 2, replay.Repeated: 1, replay.WillRelease: 1, replay.AlreadyApplied: 1}
	if diff := cmp.Diff(classes, a.classes()); diff != "" {
		t.Fatalf("classes (-want +got):\n%s", diff)
	}
	// Exactly those places, and no others.
	var places, planned []string
	for _, f := range found {
		places = append(places, fmt.Sprintf("%s/%d@%d", f.Topic, *f.Partition, *f.Offset))
	}
	for _, m := range a.Messages {
		planned = append(planned, fmt.Sprintf("%s/%d@%d", m.Topic, m.Partition, m.Offset))
	}
	slices.Sort(places)
	slices.Sort(planned)
	if diff := cmp.Diff(places, planned); diff != "" {
		t.Fatalf("places (-found +planned):\n%s", diff)
	}

	s.running()
	s.replayFrom(raw, "--findings", "-", "--execute", "--reason", "the audit").want(t, cli.ExitOK)
	if found, _, _ := s.audit(cli.ExitOK); len(found) != 0 {
		t.Errorf("still found: %+v", found)
	}
	s.expectLevels(map[string]int64{"apple": 10 - 2 - 1 - 1, "pear": 1})
}

func TestFindingsThatCannotBeReplayed(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition)
	s.sendMessages(s.orders(0, 5, "apple")...)
	lost := func(topic string, offset int) string {
		return fmt.Sprintf(`{"rule":"event_lost","topic":%q,"partition":0,"offset":%d,"detail":""}`+"\n", topic, offset)
	}
	input := s.topics.Input
	for _, tt := range []struct {
		name, findings string
		args           []string
		code           cli.Exit
		parts          []string
	}{
		{"not an audit's", "{}\n", nil, cli.ExitUsage, []string{"line 1 of the findings: want what audit -o jsonl writes", "try: consumer audit --log -o jsonl"}},
		{"half a line", lost(input, 1) + `{"rule":`, nil, cli.ExitUsage, []string{"line 2 of the findings"}},
		{"no place", `{"rule":"event_lost"}`, nil, cli.ExitUsage, []string{"does not say where"}},
		{"below zero", lost(input, -1), nil, cli.ExitUsage, []string{"below 0"}},
		{"two topics", lost(input, 1) + lost("other", 1), nil, cli.ExitUsage, []string{"several topics"}},
		{"goods alone", `{"rule":"stock_sum","goods_id":"apple"}`, nil, cli.ExitNothing, []string{"1 finding about something else", "stock add --findings"}},
		{"a person has mended it by hand", `{"rule":"event_lost","topic":"` + input + `","partition":0,"offset":1,"mended_by":"by hand"}`, nil, cli.ExitNothing,
			[]string{"1 finding is left: mended_by says that something else than replay mends", "1 finding about something else"}},
		{"beyond the end", lost(input, 99), nil, cli.ExitFailed, []string{"[99,100)", "the log holds [0,5)", "try: consumer audit --log"}},
		{"no such topic", lost("nonsuch", 1), nil, cli.ExitFailed, []string{"nonsuch", "does not exist"}},
		{"a range too", lost(input, 1), []string{"--from", "1"}, cli.ExitUsage, []string{"--findings takes neither"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.replayFrom(tt.findings, append([]string{"--findings", "-"}, tt.args...)...).want(t, tt.code, tt.parts...)
		})
	}
	one := func(offset int, mend string) string {
		return strings.TrimSuffix(lost(input, offset), "}\n") + `,"mended_by":"` + mend + `"}` + "\n"
	}
	s.replayFrom(one(1, "by hand")+one(2, "replay")+lost(input, 4), "--findings", "-").want(t, cli.ExitOK,
		"1 finding is left", "2 events in 2 ranges of "+input)
	s.replay("--findings", t.TempDir()+"/nonsuch").want(t, cli.ExitUsage, "--findings: open ")
	s.servers.DeleteRecords(t, input, 0, 3)
	s.replayFrom(lost(input, 1), "--findings", "-").want(t, cli.ExitFailed, "the log holds [3,5)")
}

func TestFoundPlacesShareRangesAndAreBounded(t *testing.T) {
	t.Parallel()
	gather := func(most int, offsets ...int64) ([]replay.Range, error) {
		p := foundPlaces{most: most}
		for _, offset := range offsets {
			partition := 0
			err := p.take(&report.Finding{Rule: audit.RuleLost, Topic: "orders", Partition: &partition, Offset: &offset})
			if err != nil {
				return nil, err
			}
		}
		return p.ranges()
	}
	got, err := gather(2, 7, 3, 4, 3, 5, 8, 6, 20)
	want := []replay.Range{{Topic: "orders", From: 3, To: 9}, {Topic: "orders", From: 20, To: 21}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := gather(2, 1, 3, 5); !errors.Is(err, errManyFinding) {
		t.Errorf("three ranges where two may be: %v, %v", got, err)
	}
}
