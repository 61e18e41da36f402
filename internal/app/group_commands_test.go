package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
)

// group carries out a command line about the shop's group.
func (s *shop) group(args ...string) answer {
	s.t.Helper()
	return consume(s.t, "", append(append([]string{"group"}, args...), s.groupFlags()...)...)
}

// groupFlags name the shop's group and where it is.
func (s *shop) groupFlags() []string {
	g := s.settings
	var tiers []string
	for _, delay := range g.Group.RetryAfter {
		tiers = append(tiers, delay.String())
	}
	return []string{"--kafka-brokers=" + strings.Join(g.Kafka.Brokers, ","), "--group=" + g.Group.Group,
		"--topic=" + g.Group.Topic, "--retry-after=" + strings.Join(tiers, ",")}
}

func onePartition(s *settings.Consumer) { s.Topics.Partitions = 1 }

func TestDescribeGroup(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions = 2 })
	s.stocked(map[string]int64{"apple": 100})
	s.sendMessages(s.orders(0, 7, "apple")...)

	got := s.group("describe").want(t, cli.ExitOK)
	testkit.WantParts(t, got.stdout, "group "+s.settings.Group.Group+": not used yet, 0 members, 7 messages behind, the oldest has been due for ",
		"no commit yet, begins at 0", "no commit yet, nothing to read")

	running := s.start()
	s.awaitMembers(1)
	ctx := t.Context()
	if err := running.WaitSettled(ctx, func(string, int64) {}); err != nil {
		t.Fatal(err)
	}
	got = s.group("describe").want(t, cli.ExitOK)
	testkit.WantParts(t, got.stdout, ": stable, 1 member, 0 messages behind\n", "MEMBER", "order-consumer@",
		s.topics.Input+" 0-1", s.topics.Tiers[0].Topic+" 0-1")
	s.end(running)

	s.sendMessages(s.orders(7, 10, "apple")...)
	got = s.group("describe", "-o", "json").want(t, cli.ExitOK)
	var whole shownGroup
	if err := json.Unmarshal([]byte(got.stdout), &whole); err != nil {
		t.Fatal(err)
	}
	if whole.State != "empty" || whole.Lag != 3 || whole.Behind <= 0 || len(whole.Partitions) != 6 || len(whole.Members) != 0 {
		t.Errorf("got %s", got.stdout)
	}
	lines := strings.Count(s.group("describe", "-o", "jsonl").want(t, cli.ExitOK).stdout, "\n")
	if lines != 6 {
		t.Errorf("%d lines of jsonl, want one for each partition", lines)
	}
}

func TestDescribeGroupThatWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition)
	// Half a minute is for what comes before the answer.
	later := time.Now().Add(time.Hour + 30*time.Second).UTC().Format(order.TimeFormat)
	s.sendMessages(order.Message{Topic: s.topics.Tiers[0].Topic, Key: []byte("A-1"), Value: []byte(create("A-1", "apple", 1)),
		Headers: []order.Header{{Key: order.HeaderNotBefore, Value: []byte(later)}}})
	testkit.WantParts(t, s.group("describe").want(t, cli.ExitOK).stdout, ": not used yet, 0 members, 1 message behind\n", "due in 1h0m")
}

func TestResetGroup(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions = 2 })
	s.stocked(map[string]int64{"apple": 100})
	s.sendMessages(s.orders(0, 10, "apple")...)
	s.settle(s.open())
	s.expectLevels(map[string]int64{"apple": 90})
	before := s.group("describe", "-o", "json").want(t, cli.ExitOK).stdout

	// Without --execute nothing happens.
	got := s.group("reset", "--to", "start").want(t, cli.ExitOK)
	testkit.WantParts(t, got.stdout, "would be reset: 10 messages again, 0 skipped")
	testkit.WantParts(t, got.stderr, "nothing was changed: add --execute")
	if now := s.group("describe", "-o", "json").want(t, cli.ExitOK).stdout; now != before {
		t.Errorf("a dry reset changed the group:\n%s%s", before, now)
	}

	// While somebody reads, it is refused, and says who.
	running := s.start()
	s.awaitMembers(1)
	got = s.group("reset", "--to", "start").want(t, cli.ExitOK)
	testkit.WantParts(t, got.stderr, "it would be refused now: group "+s.settings.Group.Group+" is active: 1 member (order-consumer@")
	got = s.group("reset", "--to", "start", "--execute").want(t, cli.ExitFailed)
	testkit.WantParts(t, got.stderr, "is active: 1 member (order-consumer@", "try: stop them", "group reset --to start --execute")
	s.end(running)

	got = s.group("reset", "--to", "start", "--execute", "-o", "json").want(t, cli.ExitOK)
	undo := filepath.Join(t.TempDir(), "undo.json")
	if err := os.WriteFile(undo, []byte(got.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	var done resetPlan
	if err := json.Unmarshal([]byte(got.stdout), &done); err != nil || !done.Executed || done.Again != 10 {
		t.Errorf("%v: got %s", err, got.stdout)
	}
	testkit.WantParts(t, s.group("describe").want(t, cli.ExitOK).stdout, "10 messages behind")

	// Its own answer takes it back.
	testkit.WantParts(t, s.group("reset", "--to", undo, "--execute").want(t, cli.ExitOK).stderr, "warning: 10 messages that nobody has settled are skipped")
	testkit.WantParts(t, s.group("describe").want(t, cli.ExitOK).stdout, "0 messages behind")

	// What is read again changes nothing.
	s.group("reset", "--to", "start", "--execute").want(t, cli.ExitOK)
	again := s.open()
	s.settle(again)
	expectSettled(t, again, map[string]int64{"duplicate": 10})
	s.expectLevels(map[string]int64{"apple": 90})
}

// A group that had no commit gets none back: an offset in its place would be
// another thing once the log's start moves.
func TestResetOfAGroupWithoutCommitCanBeUndone(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition)
	s.sendMessages(s.orders(0, 3, "apple")...)
	before := s.group("describe", "-o", "json").want(t, cli.ExitOK).stdout
	undo := filepath.Join(t.TempDir(), "before.json")
	if err := os.WriteFile(undo, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	s.group("reset", "--to", "2", "--execute").want(t, cli.ExitOK)
	testkit.WantParts(t, s.group("describe").want(t, cli.ExitOK).stdout, "1 message behind")
	s.group("reset", "--to", undo, "--execute").want(t, cli.ExitOK)
	testkit.WantParts(t, s.group("describe").want(t, cli.ExitOK).stdout, "3 messages behind", "no commit yet, begins at 0")
}

func TestResetGroupToATime(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition)
	s.sendMessages(s.orders(0, 3, "apple")...)
	between := lastAppended(s).Add(time.Millisecond)
	for !time.Now().After(between.Add(time.Millisecond)) { // messages carry whole milliseconds: let the clock go on
	}
	s.sendMessages(s.orders(3, 5, "apple")...)
	to := func(args ...string) resetPlan {
		t.Helper()
		got := s.group(append([]string{"reset", "-o", "json"}, args...)...).want(t, cli.ExitOK)
		var plan resetPlan
		if err := json.Unmarshal([]byte(got.stdout), &plan); err != nil || len(plan.Partitions) != 1 {
			t.Fatalf("%v: got %s", err, got.stdout)
		}
		return plan
	}
	for at, want := range map[string]int64{
		between.UTC().Format(time.RFC3339Nano):                                   3,
		between.In(time.FixedZone("NPT", 5*3600+45*60)).Format(time.RFC3339Nano): 3,
		"1h":                                  0,
		"0s":                                  5, // nothing is as young: the end, and not -1
		"end":                                 5,
		between.Local().Format(time.DateOnly): 0,
	} {
		if plan := to("--to", at); *plan.Partitions[0].To != want {
			t.Errorf("%s is offset %d, want %d", at, *plan.Partitions[0].To, want)
		}
	}
	testkit.WantParts(t, s.group("reset", "--to", "1h").want(t, cli.ExitOK).stderr, "1h is 20", "Z\n")
}

// lastAppended is when the newest message of the input was appended.
func lastAppended(s *shop) time.Time {
	s.t.Helper()
	positions, err := s.client.Positions(s.t.Context(), s.settings.Group.Group, []string{s.topics.Input})
	if err != nil {
		s.t.Fatal(err)
	}
	positions[0].Committed = positions[0].End - 1
	next, err := s.client.Next(s.t.Context(), positions)
	if err != nil || len(next) != 1 {
		s.t.Fatalf("%v: %v", next, err)
	}
	return next[0].Time
}

func TestResetGroupThatMakesNoSense(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition)
	s.sendMessages(s.orders(0, 3, "apple")...)
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "offsets.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	row := func(format string, args ...any) string {
		return file(fmt.Sprintf(`{"topic":%q,`+format+`}`, append([]any{s.topics.Input}, args...)...))
	}
	for _, tt := range []struct {
		name string
		args []string
		code cli.Exit
		says []string
	}{
		{"no time", []string{"--to", "yesterday"}, cli.ExitUsage, []string{`"yesterday" is not start, end, an offset, a time or a file`, "RFC 3339"}},
		{"a time to come", []string{"--to", "2999-01-01"}, cli.ExitUsage, []string{"is in the future", "say end"}},
		{"beyond the end", []string{"--to", "4"}, cli.ExitUsage, []string{"has no offset 4: it holds 0 up to 2", "try: consumer group reset"}},
		{"milliseconds since 1970", []string{"--to", "1764237600123"}, cli.ExitUsage, []string{"if it is a time: --to 2025-11-27T10:00:00.123Z"}},
		{"a topic the group does not read", []string{"--to", "start", "--topics", "others"}, cli.ExitUsage, []string{"does not read others; it reads ["}},
		{"a partition that is not there", []string{"--to", "start", "--only-partitions", "7"}, cli.ExitNothing, []string{"no partition [7]", "try: consumer group describe"}},
		{"a file of something else", []string{"--to", file(`{"findings":[]}`)}, cli.ExitUsage, []string{"want what group describe -o json writes"}},
		{"a file of another group", []string{"--to", file(`{"group":"others","partitions":[{"topic":"orders","partition":0,"committed":1}]}`)}, cli.ExitUsage, []string{"it is of group others"}},
		{"a file with a negative offset", []string{"--to", row(`"partition":0,"committed":-3`)}, cli.ExitUsage, []string{"want an offset or null"}},
		{"a file with an offset that is gone", []string{"--to", row(`"partition":0,"committed":9`)}, cli.ExitUsage, []string{"has no offset 9"}},
		{"a file with a partition that is not there", []string{"--to", row(`"partition":5,"committed":1`)}, cli.ExitFailed, []string{"/5, which does not exist"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.group(append([]string{"reset", "--execute"}, tt.args...)...).want(t, tt.code)
			testkit.WantParts(t, got.stderr, tt.says...)
		})
	}
	s.settings.Group.Topic = "nonsuch"
	testkit.WantParts(t, s.group("reset", "--to", "start").want(t, cli.ExitNothing).stderr, "topic nonsuch at ", "does not exist", "try: consumer run")
	testkit.WantParts(t, s.group("describe").want(t, cli.ExitNothing).stderr, "topic nonsuch at ", "try: consumer run")
	s.settings.Kafka.Brokers = []string{nowhereBroker}
	testkit.WantParts(t, s.group("describe").want(t, cli.ExitUnreachable).stderr, "no answer from Kafka at "+nowhereBroker, "try: ")
}
