package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"orderconsumer/internal/audit"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/testkit"
)

// mendGoods pipes an audit's findings into stock add.
func (s *shop) mendGoods(findings string, code cli.Exit) answer {
	s.t.Helper()
	return consume(s.t, findings, "stock", "add", "--findings", "-", "--execute", "--database-url", s.settings.Database.URL).want(s.t, code)
}

// rehearseGoods asks what stock add would do about findings, and wants to be told what
// it then does: the same levels, in the same order. Nothing is changed.
func (s *shop) rehearseGoods(findings string) (planned string) {
	s.t.Helper()
	state := func() string {
		_, _, raw := s.audit(cli.ExitFailed)
		levels, err := s.ledger.List(s.t.Context(), "", 100)
		if err != nil {
			s.t.Fatal(err)
		}
		found, _, _ := strings.Cut(raw, `{"summary"`) // which says how long it took
		lines := strings.Split(found, "\n")
		slices.Sort(lines) // partitions are read side by side
		return fmt.Sprint(levels, lines)
	}
	before := state()
	plan := consume(s.t, findings, "stock", "add", "--findings", "-", "--database-url", s.settings.Database.URL).want(s.t, cli.ExitOK)
	testkit.WantParts(s.t, plan.stderr, " would be mended", "nothing was changed: add --execute to do it")
	if after := state(); after != before {
		s.t.Errorf("a rehearsal changed something:\nbefore %s\nafter %s", before, after)
	}
	return plan.stdout
}

// An order's rows are made what the log says, by stock add, and where an order's row
// was lost by a replay behind it; then the audit of both is clean.
func TestFindingsAboutOrdersCanBeMended(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(*shop)
		rules []audit.Rule
		says  string
	}{
		{"took more than it asked for", func(s *shop) {
			s.exec("UPDATE movements SET delta = -5 WHERE ref = ?", []byte("A-1"))
			s.exec("UPDATE stock SET available = available - 3 WHERE goods_id = ?", []byte("apple"))
		}, []audit.Rule{audit.Rule(stock.RuleDeducted)}, "order A-1: removed deduct apple -5, added deduct apple -2"},
		{"took more than it asked for, and the level does not know", func(s *shop) {
			s.exec("UPDATE movements SET delta = -5 WHERE ref = ?", []byte("A-1"))
		}, []audit.Rule{audit.Rule(stock.RuleDeducted), audit.Rule(stock.RuleSum)}, "order A-1: removed deduct apple -5, added deduct apple -2"},
		{"gave back nothing", func(s *shop) {
			s.exec("DELETE FROM movements WHERE ref = ? AND kind = 'release'", []byte("A-3"))
			s.exec("UPDATE stock SET available = available - 1 WHERE goods_id = ?", []byte("apple"))
		}, []audit.Rule{audit.Rule(stock.RuleReleased)}, "order A-3: removed nothing, added release apple +1"},
		{"its row is gone and its movements are not", func(s *shop) {
			s.exec("DELETE FROM orders WHERE order_id = ?", []byte("A-1"))
		}, []audit.Rule{audit.RuleLost, audit.RuleLost, audit.Rule(stock.RuleNoOrder)}, "order A-1: removed deduct apple -2, added nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := mixedDay(t)
			s.group("reset", "--to", "end", "--execute").want(t, cli.ExitOK)
			// A-7 is skipped; its event is replayed with the others.
			tt.spoil(s)
			found, _, raw := s.audit(cli.ExitFailed)
			rules := make(map[audit.Rule]int)
			for _, f := range found {
				rules[f.Rule]++
			}
			for _, rule := range append(tt.rules, audit.RuleLost) {
				rules[rule]--
			}
			for rule, n := range rules {
				if n != 0 {
					t.Errorf("%+d findings of %s: %+v", n, rule, found)
				}
			}
			planned := s.rehearseGoods(raw)
			says := tt.says
			for range 2 { // a second time changes nothing
				got := s.mendGoods(raw, cli.ExitOK)
				testkit.WantParts(t, got.stderr, says)
				if not := strings.ReplaceAll(got.stdout, "\n", " (not done)\n"); says == tt.says && not != planned {
					t.Errorf("did %q, and had said %q", got.stdout, planned)
				}
				says = " mended, "
			}
			s.running()
			s.replayFrom(raw, "--findings", "-", "--execute", "--reason", "the audit").want(t, cli.ExitOK)
			s.expectLevels(map[string]int64{"apple": 10 - 2 - 1, "pear": 1})
			if found, _, _ := s.audit(cli.ExitOK); len(found) != 0 {
				t.Errorf("still found: %+v", found)
			}
		})
	}
}

// An order that lost its row cannot be applied again while its movements stand; when
// its event has become a dead letter over it, the movements are mended all the same.
func TestMovementsOfADeadOrderAreMended(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition, func(s *settings.Consumer) { s.Flow.MaxDeadRatio = 0 })
	s.stocked(map[string]int64{"apple": 10})
	s.sendMessages(order.Message{Topic: s.topics.Input, Key: []byte("A-1"), Value: []byte(create("A-1", "apple", 2))})
	s.settle(s.open())
	s.exec("DELETE FROM orders WHERE order_id = ?", []byte("A-1"))
	s.running()
	s.replay("--execute", "--reason", "lost", "--no-audit", "--ramp", "none").want(t, cli.ExitOK)
	s.awaitCount(s.topics.Dead, 1)
	s.awaitTiers()
	_, _, raw := s.audit(cli.ExitFailed)
	testkit.WantParts(t, s.mendGoods(raw, cli.ExitOK).stderr, "order A-1: removed deduct apple -2, added nothing")
	s.retry(cli.ExitOK, "--order", "A-1", "--execute", "--reason", "mended")
	s.awaitTiers()
	s.expectLevels(map[string]int64{"apple": 8})
	if found, _, _ := s.audit(cli.ExitOK); len(found) != 0 {
		t.Errorf("still found: %+v", found)
	}
}

// What the log contradicts, or cannot confirm, is left to a person.
func TestFindingsAboutOrdersThatTheLogDoesNotConfirm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(*shop)
		log   bool
	}{
		{"the row is not what its event asked for", func(s *shop) {
			s.exec("UPDATE orders SET items = ? WHERE order_id = ?", `{"apple":1}`, []byte("A-1"))
		}, true},
		{"an order that was told to be deducted is rejected", func(s *shop) {
			s.exec("UPDATE orders SET state = 'rejected' WHERE order_id = ?", []byte("A-1"))
		}, true},
		{"an order that was told to be deducted is voided", func(s *shop) {
			s.exec("UPDATE orders SET state = 'voided' WHERE order_id = ?", []byte("A-1"))
		}, true},
		{"an order that nobody has cancelled is released", func(s *shop) {
			s.exec("UPDATE orders SET state = 'released', released_at = decided_at WHERE order_id = ?", []byte("A-1"))
		}, true},
		{"an order that was told to be rejected is deducted", func(s *shop) {
			s.exec("UPDATE orders SET state = 'deducted' WHERE order_id = ?", []byte("A-2"))
		}, true},
		{"an order that was told to be released is deducted", func(s *shop) {
			s.exec("UPDATE orders SET state = 'deducted', released_at = NULL WHERE order_id = ?", []byte("A-3"))
		}, true},
		{"an order that was told to be released is rejected", func(s *shop) {
			s.exec("UPDATE orders SET state = 'rejected', released_at = NULL WHERE order_id = ?", []byte("A-3"))
		}, true},
		{"an order that was told to be voided is deducted", func(s *shop) {
			s.exec("UPDATE orders SET state = 'deducted', items = ? WHERE order_id = ?", `{"apple":1}`, []byte("A-4"))
		}, true},
		{"its outcome is not in the log", func(s *shop) {
			s.exec("UPDATE movements SET delta = -3 WHERE ref = ?", []byte("A-1"))
			s.exec("UPDATE stock SET available = available - 1 WHERE goods_id = ?", []byte("apple"))
			const all = -1
			for partition := range s.settings.Topics.Partitions {
				s.servers.DeleteRecords(s.t, s.topics.Results, int32(partition), all)
			}
		}, true},
		{"an order whose place holds the event of another", func(s *shop) {
			// As in a log that was moved with the times of its events.
			_, err := s.ledger.Apply(s.t.Context(), []stock.Request{{Order: "ghost", Action: stock.Deduct, Attempt: 1,
				Lines: []stock.Line{{Goods: "apple", Num: 2}}, Origin: s.originOf("A-1")}})
			if err != nil {
				s.t.Fatal(err)
			}
		}, true},
		{"nothing of the log counts as settled", func(s *shop) {
			s.exec("UPDATE movements SET delta = -3 WHERE ref = ?", []byte("A-1"))
			s.exec("UPDATE stock SET available = available - 1 WHERE goods_id = ?", []byte("apple"))
			s.group("reset", "--to", "start", "--execute").want(s.t, cli.ExitOK)
		}, true},
		{"movements of an order that the log does not know", func(s *shop) {
			s.exec("INSERT INTO movements(ref,goods_id,kind,delta,balance,moved_at) VALUES(?,?,'deduct',-1,0,'2026-11-23 00:00:00')", []byte("B-1"), []byte("apple"))
			s.exec("UPDATE stock SET available = available - 1 WHERE goods_id = ?", []byte("apple"))
		}, true},
		{"found without the log", func(s *shop) {
			s.exec("UPDATE movements SET delta = -3 WHERE ref = ?", []byte("A-1"))
			s.exec("UPDATE stock SET available = available - 1 WHERE goods_id = ?", []byte("apple"))
		}, false},
		{"found without the log, and no level is the sum of its movements", func(s *shop) {
			s.exec("UPDATE movements SET delta = -1 WHERE ref = ?", []byte("A-1"))
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := mixedDay(t)
			tt.spoil(s)
			var raw string
			if tt.log {
				_, _, raw = s.audit(cli.ExitFailed)
			} else {
				raw = consume(t, "", "audit", "-o", "jsonl", "--database-url", s.settings.Database.URL).want(t, cli.ExitFailed).stdout
			}
			before, err := s.ledger.Get(t.Context(), "apple")
			if err != nil {
				t.Fatal(err)
			}
			got := s.mendGoods(raw, cli.ExitNothing)
			testkit.WantParts(t, got.stderr, "1 finding is left, about orders", "no finding is one that stock add mends")
			after, err := s.ledger.Get(t.Context(), "apple")
			if err != nil || before.Available != after.Available {
				t.Errorf("the level was %d and is %d, %v", before.Available, after.Available, err)
			}
		})
	}
}

// An order whose goods were sold to somebody else meanwhile is left, and the rest is
// mended.
func TestFindingAboutGoodsThatWereSoldTwice(t *testing.T) {
	t.Parallel()
	s := mixedDay(t)
	s.exec("DELETE FROM movements WHERE ref = ?", []byte("A-1"))
	s.exec("UPDATE stock SET available = available + 2 WHERE goods_id = ?", []byte("apple"))
	s.exec("UPDATE stock SET available = 3 WHERE goods_id = ?", []byte("pear"))
	level, err := s.ledger.Get(t.Context(), "apple")
	if err != nil {
		t.Fatal(err)
	}
	i := s.open()
	s.sendMessages(order.Message{Topic: s.topics.Input, Key: []byte("B-1"), Value: []byte(create("B-1", "apple", int(level.Available)-1))})
	s.settleInputAnd(i, s.topics.Tiers[0].Topic)
	_, _, raw := s.audit(cli.ExitFailed)
	got := s.mendGoods(raw, cli.ExitPartial)
	testkit.WantParts(t, got.stderr, "1 finding mended, 0 findings about something else", "1 finding is not mended: more was sold than was there",
		`goods "apple" would have -`, "try: consumer stock add GOODS NUM")
	consume(t, "", "stock", "add", "apple", "2", "--database-url", s.settings.Database.URL).want(t, cli.ExitOK)
	s.mendGoods(raw, cli.ExitOK)
	if found, _, _ := s.audit(cli.ExitOK); len(found) != 0 {
		t.Errorf("still found: %+v", found)
	}
}

// A topic that was made anew has the same places for other events: the orders of the
// old one are no orders without event, and nothing is given back.
func TestOrdersOfALogThatIsGoneAreNoFindings(t *testing.T) {
	t.Parallel()
	s := mixedDay(t)
	_, err := s.ledger.Apply(t.Context(), []stock.Request{{Order: "old", Action: stock.Deduct, Attempt: 1,
		Lines: []stock.Line{{Goods: "apple", Num: 1}}, Origin: s.originOf("A-2")}})
	if err != nil {
		t.Fatal(err)
	}
	found, _, _ := s.audit(cli.ExitFailed)
	if len(found) != 1 || found[0].Rule != audit.RuleNoEvent || found[0].MendedBy != "" {
		t.Fatalf("found %+v", found)
	}
	s.exec("UPDATE orders SET decided_at = '2026-01-02 03:04:05' WHERE order_id = ?", []byte("old"))
	found, summary, _ := s.audit(cli.ExitOK)
	if len(found) != 0 || summary.Gone != 1 {
		t.Errorf("found %+v in %+v", found, summary)
	}
}

// A row that cannot be read by the time it is to be mended is left, under its own name.
func TestFindingAboutARowThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := mixedDay(t)
	s.exec("UPDATE movements SET delta = -5 WHERE ref = ?", []byte("A-1"))
	s.exec("UPDATE stock SET available = 3 WHERE goods_id = ?", []byte("pear"))
	_, _, raw := s.audit(cli.ExitFailed)
	s.exec("UPDATE orders SET items = '{' WHERE order_id = ?", []byte("A-1"))
	got := s.mendGoods(raw, cli.ExitPartial)
	testkit.WantParts(t, got.stderr, "1 finding is not mended: the order's row cannot be read", "docs/redrive.md says what to do about a row")
	if strings.Contains(got.stderr, "sold") {
		t.Errorf("nothing was sold twice: %s", got.stderr)
	}
}

// The answer for programs is one document, and one that broke off half-way says so by
// its exit code: what was mended stays mended.
func TestMendingIsOneDocumentAndMayBreakOff(t *testing.T) {
	t.Parallel()
	s := mixedDay(t)
	s.exec("DELETE FROM movements WHERE ref = ? AND kind = 'release'", []byte("A-3"))
	s.exec("UPDATE stock SET available = available - 1 WHERE goods_id = ?", []byte("apple"))
	s.exec("UPDATE movements SET delta = -5 WHERE ref = ?", []byte("A-1"))
	s.exec("UPDATE stock SET available = available - 3 WHERE goods_id = ?", []byte("apple"))
	_, _, raw := s.audit(cli.ExitFailed)
	mend := func(findings string, code cli.Exit, args ...string) []changedLevel {
		t.Helper()
		line := append([]string{"stock", "add", "--findings", "-", "-o", "json", "--database-url", s.settings.Database.URL}, args...)
		got := consume(t, findings, line...).want(t, code)
		var answer struct {
			Levels []changedLevel `json:"levels"`
		}
		if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || answer.Levels == nil {
			t.Fatalf("%v: %q is no document with levels", err, got.stdout)
		}
		return answer.Levels
	}
	if levels := mend(raw, cli.ExitOK); len(levels) != 2 || !levels[0].Rehearsed {
		t.Errorf("rehearsed %+v", levels)
	}
	if levels := mend("", cli.ExitNothing, "--execute"); len(levels) != 0 {
		t.Errorf("mended %+v of nothing", levels)
	}
	first, _, _ := strings.Cut(raw, "\n")
	if levels := mend("{}\n"+first, cli.ExitFailed, "--execute"); len(levels) != 0 {
		t.Errorf("mended %+v before a line that is no finding", levels)
	}
	if levels := mend(first+"\n{}\n", cli.ExitFailed); len(levels) != 1 {
		t.Errorf("rehearsed %+v and broke off", levels)
	}
	if levels := mend(first+"\n{}\n", cli.ExitPartial, "--execute"); len(levels) != 1 || levels[0].Rehearsed {
		t.Errorf("mended %+v and broke off", levels)
	}
	mend(raw, cli.ExitOK, "--execute")
	s.expectLevels(map[string]int64{"apple": 10 - 2, "pear": 1})
}
