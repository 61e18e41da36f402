package app

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/audit"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/instance"
	"orderconsumer/internal/order"
	"orderconsumer/internal/report"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/testkit"
)

// audit audits the shop's log and returns the findings and the summary.
func (s *shop) audit(code cli.Exit, args ...string) (findings []report.Finding, summary shownLogSummary, raw string) {
	s.t.Helper()
	line := append([]string{"audit", "--log", "-o", "jsonl", "--database-url", s.settings.Database.URL}, s.groupFlags()...)
	got := consume(s.t, "", append(line, args...)...).want(s.t, code)
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	for i, text := range lines {
		if i == len(lines)-1 {
			var end struct {
				Summary *shownLogSummary `json:"summary"`
			}
			if err := json.Unmarshal([]byte(text), &end); err != nil || end.Summary == nil {
				s.t.Fatalf("the last line is no summary: %v: %s", err, text)
			}
			return findings, *end.Summary, got.stdout
		}
		var f report.Finding
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			s.t.Fatalf("%v: %s", err, text)
		}
		findings = append(findings, f)
	}
	return nil, summary, got.stdout
}

// exec changes the database behind the ledger's back.
func (s *shop) exec(statement string, args ...any) {
	s.t.Helper()
	result, err := behindTheBack(s.t, s.servers).ExecContext(s.t.Context(), statement, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	if n, _ := result.RowsAffected(); n == 0 {
		s.t.Fatalf("%s changed nothing", statement)
	}
}

// mixedDay leaves an event in every one of the places where there can be one.
func mixedDay(t *testing.T) *shop {
	t.Helper()
	s := newShop(t, func(s *settings.Consumer) {
		s.Topics.Partitions = 2
		s.Group.RetryAfter = []time.Duration{50 * time.Millisecond, time.Hour}
	})
	s.stocked(map[string]int64{"apple": 10, "pear": 1})
	send := func(id, value string) {
		s.sendMessages(order.Message{Topic: s.topics.Input, Key: []byte(id), Value: []byte(value)})
	}
	send("A-1", create("A-1", "apple", 2))
	send("A-1", create("A-1", "apple", 2))   // comes again
	send("A-2", create("A-2", "pear", 5))    // short
	send("A-3", create("A-3", "apple", 1))   //
	send("A-3", cancelOf("A-3"))             // gives back
	send("A-4", cancelOf("A-4"))             // comes before its order
	send("A-4", create("A-4", "apple", 1))   //
	send("A-1", create("A-1", "apple", 3))   // conflict
	send("A-5", "{broken")                   //
	send("A-6", create("A-6", "nonsuch", 1)) // waits for an hour in the second tier
	i := s.open()
	s.settleInputAnd(i, s.topics.Tiers[0].Topic)
	send("A-7", create("A-7", "apple", 1)) // in flight
	return s
}

// settleInputAnd runs the instance until the input and one tier are settled.
func (s *shop) settleInputAnd(i *instance.Instance, tier string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), testTimeout)
	defer cancel()
	take, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- i.Run(take, ctx) }()
	err := s.client.WaitSettled(ctx, s.settings.Group.Group, s.topics.Input, []string{tier}, func(string, int64) {})
	stop()
	if runErr := <-ran; runErr != nil || err != nil {
		s.t.Fatal(runErr, err)
	}
}

func TestAuditOfTheLogFindsEveryEventInOnePlace(t *testing.T) {
	t.Parallel()
	s := mixedDay(t)
	findings, summary, _ := s.audit(cli.ExitOK)
	if len(findings) != 0 || !summary.Clean {
		t.Errorf("found %+v", findings)
	}
	want := map[string]int64{"applied": 5, "duplicate": 1, "rejected": 1, "waiting": 1, "dead": 2, "in_flight": 1, "forgotten": 0, "off": 0}
	if diff := cmp.Diff(want, summary.ByClass); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
	if summary.Events != 11 || summary.DeadLetters != 2 || summary.Unasked != 0 ||
		!maps.Equal(summary.Waiting, map[string]int64{s.topics.Tiers[1].Topic: 1}) ||
		!maps.Equal(summary.Applied, map[string]int64{"deducted": 1, "released": 2, "voided": 2}) {
		t.Errorf("got %+v", summary)
	}
	line := append([]string{"audit", "--log", "--database-url", s.settings.Database.URL}, s.groupFlags()...)
	got := consume(t, "", line...).want(t, cli.ExitOK)
	testkit.WantParts(t, got.stdout, "clean: 11 events, in ", "applied             5  (1 deducted, 2 released, 2 voided)",
		"in flight           1\n", "2 dead letters, ", "\ndatabase: clean: 4 orders (")
}

func TestAuditOfTheLogFindsWhatIsOff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(*shop)
		want  []audit.Rule
		about string // the order or goods of the first finding
	}{
		{"an order that is gone with its movements", func(s *shop) {
			s.exec("DELETE FROM orders WHERE order_id = ?", []byte("A-1"))
			s.exec("DELETE FROM movements WHERE ref = ?", []byte("A-1"))
			s.exec("UPDATE stock SET available = available + 2 WHERE goods_id = ?", []byte("apple"))
		}, []audit.Rule{audit.RuleLost, audit.RuleLost}, "A-1"}, // both of its events
		{"a release that is undone", func(s *shop) {
			s.exec("UPDATE orders SET state = 'deducted', released_at = NULL WHERE order_id = ?", []byte("A-3"))
			s.exec("DELETE FROM movements WHERE ref = ? AND kind = 'release'", []byte("A-3"))
			s.exec("UPDATE stock SET available = available - 1 WHERE goods_id = ?", []byte("apple"))
		}, []audit.Rule{audit.RuleNotReleased}, "A-3"},
		{"an order that asked for something else", func(s *shop) {
			s.exec("UPDATE orders SET items = ? WHERE order_id = ?", `{"pear":4}`, []byte("A-2"))
		}, []audit.Rule{audit.RuleConflict}, "A-2"},
		{"a level changed by hand", func(s *shop) {
			s.exec("UPDATE stock SET available = 3 WHERE goods_id = ?", []byte("apple"))
		}, []audit.Rule{audit.Rule(stock.RuleSum)}, "apple"},
		{"an order whose event is another's", func(s *shop) {
			_, err := s.ledger.Apply(s.t.Context(), []stock.Request{{Order: "ghost", Action: stock.Deduct, Attempt: 1,
				Lines: []stock.Line{{Goods: "apple", Num: 2}}, Origin: s.originOf("A-2")}})
			if err != nil {
				s.t.Fatal(err)
			}
		}, []audit.Rule{audit.RuleNoEvent}, "ghost"},
		{"a group that skipped its events", func(s *shop) {
			s.group("reset", "--to", "end", "--execute").want(s.t, cli.ExitOK)
		}, []audit.Rule{audit.RuleLost}, "A-7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := mixedDay(t)
			tt.spoil(s)
			findings, summary, _ := s.audit(cli.ExitFailed)
			var rules []audit.Rule
			for _, f := range findings {
				rules = append(rules, f.Rule)
			}
			if diff := cmp.Diff(tt.want, rules); diff != "" || summary.Findings != int64(len(tt.want)) {
				t.Fatalf("findings (-want +got):\n%s\n%+v", diff, findings)
			}
			if about := findings[0].OrderID + findings[0].GoodsID; about != tt.about {
				t.Errorf("it is about %q, want %q", about, tt.about)
			}
			if findings[0].OrderID != "" && (findings[0].Topic != s.topics.Input || findings[0].Offset == nil) {
				t.Errorf("it does not say where the event stands: %+v", findings[0])
			}
		})
	}
}

// originOf is where the event stands that made the order known.
func (s *shop) originOf(id string) stock.Origin {
	s.t.Helper()
	record, err := s.ledger.Lookup(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return record.Origin
}

// What the audit finds about goods, stock add mends, and gives back what an order
// without event took once a person has said so; a second time changes nothing.
func TestFindingsAboutGoodsCanBeMended(t *testing.T) {
	t.Parallel()
	s := mixedDay(t)
	_, err := s.ledger.Apply(t.Context(), []stock.Request{{Order: "ghost", Action: stock.Deduct, Attempt: 1,
		Lines: []stock.Line{{Goods: "apple", Num: 2}}, Origin: s.originOf("A-2")}})
	if err != nil {
		t.Fatal(err)
	}
	s.exec("UPDATE stock SET available = 3 WHERE goods_id = ?", []byte("pear"))
	s.expectLevels(map[string]int64{"apple": 6, "pear": 3})
	_, _, findings := s.audit(cli.ExitFailed)
	byHand := strings.Replace(findings, `"mended_by":"stock add"`, `"mended_by":"by hand"`, 1)
	testkit.WantParts(t, s.mendGoods(byHand, cli.ExitNothing).stderr, "0 findings mended, 2 findings about something else")
	for range 2 {
		testkit.WantParts(t, s.mendGoods(findings, cli.ExitOK).stderr, "1 finding mended, 1 finding about something else", "1 finding is left, about orders")
		s.expectLevels(map[string]int64{"apple": 6, "pear": 1})
	}
	findings = strings.Replace(findings, `"order_id":"ghost",`, `"order_id":"ghost","mended_by":"stock add",`, 1)
	for range 2 {
		got := consume(t, findings, "stock", "add", "--findings", "-", "--execute", "--database-url", s.settings.Database.URL).want(t, cli.ExitOK)
		testkit.WantParts(t, got.stderr, "2 findings mended, 0 findings about something else")
		s.expectLevels(map[string]int64{"apple": 8, "pear": 1})
	}
	at(t, s.servers)("audit").want(t, cli.ExitOK)
	if found, _, _ := s.audit(cli.ExitOK); len(found) != 0 {
		t.Errorf("what was given back is still found: %+v", found)
	}
	got := consume(t, "{}\n", "stock", "add", "--findings", "-", "--database-url", s.settings.Database.URL).want(t, cli.ExitFailed)
	testkit.WantParts(t, got.stderr, "line 1 of the findings: want what audit -o jsonl writes")
}

// Consumers that go on while the audit reads are no reason for findings.
func TestAuditOfTheLogWhileConsumersRun(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions = 4 })
	day := s.newDay(4000)
	day.publish(1) // an empty topic is nothing to audit
	first, second := s.start(), s.start()
	published := make(chan struct{})
	go func() {
		defer close(published)
		day.publish(day.events)
	}()
	audits := 0
	for busy := true; busy; audits++ {
		select {
		case <-published:
			busy = false
		default:
		}
		findings, summary, _ := s.audit(cli.ExitOK)
		if len(findings) != 0 {
			t.Fatalf("audit %d of running consumers: %+v\n%+v", audits, findings, summary)
		}
	}
	day.awaitLeft(0)
	s.end(first)
	s.end(second)
	_, summary, _ := s.audit(cli.ExitOK)
	if summary.Events != int64(day.events) || summary.ByClass["in_flight"] != 0 || summary.ByClass["dead"] == 0 || summary.ByClass["duplicate"] == 0 {
		t.Errorf("%d events, got %+v", day.events, summary)
	}
	t.Logf("%d audits beside two consumers", audits)
}

func TestAuditOfTheLogThatMakesNoSense(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition)
	s.sendMessages(s.orders(0, 3, "apple")...)
	run := func(args ...string) answer {
		line := append([]string{"audit", "--log", "--database-url", s.settings.Database.URL}, s.groupFlags()...)
		return consume(t, "", append(line, args...)...)
	}
	testkit.WantParts(t, run("--from", "noon").want(t, cli.ExitUsage).stderr, `--from: "noon" is no time: want RFC 3339`)
	testkit.WantParts(t, run("--from", "1h", "--to", "2h").want(t, cli.ExitUsage).stderr, "is not before --to")
	testkit.WantParts(t, run("--from", "0s").want(t, cli.ExitNothing).stderr, "holds no event in that range", "try: consumer audit --log without --from")
	if err := s.client.DeleteTopics(t.Context(), []string{s.topics.Results}); err != nil {
		t.Fatal(err)
	}
	testkit.WantParts(t, run().want(t, cli.ExitNothing).stderr, "topic "+s.topics.Results+" at ", "does not exist", "try: consumer run, which creates")
	s.settings.Group.Topic = "nonsuch"
	line := append([]string{"audit", "--log", "--database-url", s.settings.Database.URL}, s.groupFlags()...)
	testkit.WantParts(t, consume(t, "", line...).want(t, cli.ExitNothing).stderr, "topic nonsuch at ", "try: consumer run")
}

// Only the brokers and the network to them can be away: whatever else stops an audit is
// said as it is.
func TestAuditOfTheLogThatCannotBeReadSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition)
	s.stocked(map[string]int64{"apple": 10})
	s.sendMessages(s.orders(0, 3, "apple")...)
	s.settle(s.open())
	run := func() answer {
		line := append([]string{"audit", "--log", "--database-url", s.settings.Database.URL}, s.groupFlags()...)
		return consume(t, "", line...)
	}
	run().want(t, cli.ExitOK)
	s.sendMessages(order.Message{Topic: s.topics.Results, Key: []byte("A-1"), Value: []byte("hello")})
	got := run().want(t, cli.ExitFailed)
	testkit.WantParts(t, got.stderr, "consumer: audit, outcomes: ", s.topics.Results+"/0@3 is no outcome",
		"try: kafka-console-consumer.sh", "--topic "+s.topics.Results+" --partition 0 --offset 3")

	if err := s.client.SetOffsets(t.Context(), s.settings.Group.Group, map[string]map[int]int64{s.topics.Input: {0: 9}}); err != nil {
		t.Fatal(err)
	}
	got = run().want(t, cli.ExitFailed)
	testkit.WantParts(t, got.stderr, s.topics.Input+"/0 ends at 3, below the offset 9", "not the log that the database speaks of", "try: consumer group describe")
}
