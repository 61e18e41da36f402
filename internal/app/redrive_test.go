package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
)

// produce carries out one command line of the producer on the shop's servers.
func (s *shop) produce(args ...string) answer {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	args = append(args, "--database-url", s.settings.Database.URL)
	code := ProducerProgram{OpenLedger: testkit.OpenLedger}.program().RunUnder(make(chan os.Signal, 2), args,
		cli.Streams{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr})
	return answer{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// redrive carries out a command line about the shop's dead letters.
func (s *shop) redrive(args ...string) answer {
	s.t.Helper()
	return s.produce(append(append([]string{"redrive"}, args...), s.groupFlags()...)...)
}

// letters are the dead letters in a state, by order.
func (s *shop) letters(state string) map[string][]shownLetter {
	s.t.Helper()
	got := s.redrive("list", "--state", state, "--limit", "0", "-o", "jsonl").want(s.t, cli.ExitOK)
	found := make(map[string][]shownLetter)
	for line := range strings.Lines(got.stdout) {
		var l shownLetter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		found[l.OrderID] = append(found[l.OrderID], l)
	}
	return found
}

// deadDay leaves dead letters of several causes.
func deadDay(t *testing.T) *shop {
	t.Helper()
	s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions = 2 })
	s.stocked(map[string]int64{"apple": 10})
	send := func(id, value string, headers ...order.Header) {
		s.sendMessages(order.Message{Topic: s.topics.Input, Key: []byte(id), Value: []byte(value), Headers: headers})
	}
	send("A-1", create("A-1", "nonsuch", 1), order.Header{Key: "shop", Value: []byte("north")})
	send("A-2", create("A-2", "nonsuch", 2))
	send("A-3", create("A-3", "apple", 0))
	send("A-4", "{broken")
	send("A-5", create("A-5", "apple", 1))
	s.settle(s.open())
	return s
}

func TestRedriveGroupsListAndShow(t *testing.T) {
	t.Parallel()
	s := deadDay(t)
	got := s.redrive("groups", "-o", "json").want(t, cli.ExitOK)
	var whole struct {
		Groups []shownCause `json:"groups"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &whole); err != nil || len(whole.Groups) != 3 {
		t.Fatalf("%v: got %s", err, got.stdout)
	}
	if g := whole.Groups[0]; g.Cause != "goods_unknown" || g.Letters != 2 || g.Orders != 2 || g.First > g.Last || g.Example == "" {
		t.Errorf("the largest group: %+v", g)
	}
	testkit.WantParts(t, got.stdout, `"cause":"schema_invalid at /items/*/num"`, `"cause":"malformed_json"`)
	testkit.WantParts(t, s.redrive("groups").want(t, cli.ExitOK).stdout, "LETTERS  ORDERS  AGAIN  FIRST", "goods_unknown")

	letters := s.letters("open")
	if len(letters) != 4 {
		t.Fatalf("got %+v", letters)
	}
	first := letters["A-1"][0]
	if first.Attempts != 3 || first.Code != "goods_unknown" || first.Type != "order.created" || !strings.HasPrefix(first.Origin, s.topics.Input+"/") {
		t.Errorf("got %+v", first)
	}
	got = s.redrive("show", first.ID, "-o", "json").want(t, cli.ExitOK)
	var letter wholeLetter
	if err := json.Unmarshal([]byte(got.stdout), &letter); err != nil {
		t.Fatal(err)
	}
	if letter.Value != create("A-1", "nonsuch", 1) || letter.Key != "A-1" || len(letter.History) != 3 ||
		letter.History[2].Code != "goods_unknown" || letter.Headers[0] != (shownHeader{Key: "shop", Value: "north"}) {
		t.Errorf("got %+v", letter)
	}
	testkit.WantParts(t, s.redrive("show", first.ID).want(t, cli.ExitOK).stdout, "dead letter "+first.ID+": open", "  1  20", "  3  20", "shop: north",
		"value: "+create("A-1", "nonsuch", 1))
	if raw := s.redrive("show", first.ID, "--raw").want(t, cli.ExitOK).stdout; raw != create("A-1", "nonsuch", 1) {
		t.Errorf("raw is %q", raw)
	}
	testkit.WantParts(t, s.redrive("show", "1/999").want(t, cli.ExitNothing).stderr, "1/999: none of the 4 dead letters", "try: producer redrive list --state all")
	testkit.WantParts(t, s.redrive("show", "first").want(t, cli.ExitUsage).stderr, `"first" is no dead letter: want partition/offset`)
	if got := s.redrive("list", "--cause", "schema_invalid", "-o", "jsonl").want(t, cli.ExitOK).stdout; strings.Count(got, "\n") != 1 {
		t.Errorf("by code: %s", got)
	}
	s.redrive("list", "--order", "A-5").want(t, cli.ExitNothing)
}

// What stands in an event is no command to the terminal of who looks at it.
func TestRedriveShowsNothingThatATerminalObeys(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const value = "{\n\t\"a\": \x1b]0;owned\a\x1b[2J\u202e}"
	s.sendMessages(order.Message{Topic: s.topics.Dead, Key: []byte("A-1\r\x1b[A\nreason   fine"), Value: []byte(value), Headers: []order.Header{
		{Key: order.HeaderErrorCode, Value: []byte("malformed_json\x1b[8m")}, {Key: order.HeaderErrorMessage, Value: []byte("at\x1b[1A 3\u009b2J")},
	}})
	open := s.redrive("list", "-o", "jsonl").want(t, cli.ExitOK)
	var l shownLetter
	if err := json.Unmarshal([]byte(open.stdout), &l); err != nil {
		t.Fatal(err)
	}
	show := s.redrive("show", l.ID).want(t, cli.ExitOK).stdout
	for what, text := range map[string]string{"show": show, "list": s.redrive("list").stdout, "groups": s.redrive("groups").stdout} {
		if i := strings.IndexAny(text, "\x1b\a\r\u009b\u202e"); i >= 0 {
			t.Errorf("%s has %q", what, text[i:])
		}
	}
	testkit.WantParts(t, show, `key:   A-1\r\x1b[A\nreason   fine`, "value: {\n\t\"a\": "+`\x1b]0;owned\a\x1b[2J\u202e}`, `reason   at\x1b[1A 3\u009b2J`)
	if raw := s.redrive("show", l.ID, "--raw").want(t, cli.ExitOK).stdout; raw != value {
		t.Errorf("raw is %q", raw)
	}
}

func TestArchiveAndRestore(t *testing.T) {
	t.Parallel()
	s := deadDay(t)
	id := s.letters("open")["A-4"][0].ID
	testkit.WantParts(t, s.redrive("archive", "--note", "n").want(t, cli.ExitUsage).stderr, "which ones?")
	testkit.WantParts(t, s.redrive("archive", id, "--note", "a test of the shop's").want(t, cli.ExitOK).stderr, "nothing was changed")
	if len(s.letters("open")) != 4 {
		t.Error("a dry run has archived")
	}
	s.redrive("archive", id, "--note", "a test of the shop's", "--who", "ann", "--execute").want(t, cli.ExitOK)
	archived := s.letters("archived")
	if l := archived["A-4"]; len(archived) != 1 || len(l) != 1 || l[0].Note != "a test of the shop's" || l[0].NotedBy != "ann" || l[0].NotedAt == "" {
		t.Fatalf("archived %+v", archived)
	}
	if len(s.letters("open")) != 3 || len(s.letters("all")) != 4 {
		t.Error("an archived letter is open, or gone")
	}
	s.redrive("archive", id, "--note", "again", "--execute").want(t, cli.ExitNothing)
	s.redrive("archive", "--cause", "goods_unknown", "--note", "old catalogue", "--execute").want(t, cli.ExitOK)
	if n := len(s.letters("archived")); n != 3 {
		t.Errorf("%d archived", n)
	}
	for range 2 { // back and forth: marks are added, never changed
		s.redrive("restore", id, "--execute").want(t, cli.ExitOK)
		if n := len(s.letters("open")); n != 2 {
			t.Errorf("%d open after the restore", n)
		}
		s.redrive("archive", id, "--note", "again", "--execute").want(t, cli.ExitOK)
	}
	row := behindTheBack(t, s.servers).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM letter_marks")
	var marks int
	if err := row.Scan(&marks); err != nil || marks != 7 {
		t.Errorf("%d marks, %v, want 7", marks, err)
	}
}

func TestDeadLettersAreResolvedWhenTheirOrderIsKnown(t *testing.T) {
	t.Parallel()
	s := deadDay(t)
	s.stocked(map[string]int64{"nonsuch": 5})
	s.sendMessages(order.Message{Topic: s.topics.Input, Key: []byte("A-1"), Value: []byte(create("A-1", "nonsuch", 1))},
		order.Message{Topic: s.topics.Input, Key: []byte("A-2"), Value: []byte(create("A-2", "nonsuch", 1))}) // not what the letter asks for
	s.settle(s.open())
	if got := s.letters("resolved"); len(got) != 1 || len(got["A-1"]) != 1 {
		t.Errorf("resolved %+v", got)
	}
	if got := s.letters("open"); len(got["A-2"]) != 1 || len(got) != 3 {
		t.Errorf("open %+v", got)
	}
}

func TestRedriveWithoutDeadLetters(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	testkit.WantParts(t, s.redrive("groups").want(t, cli.ExitOK).stderr, "no dead letters in "+s.topics.Dead)
	if got := s.redrive("list", "-o", "json").want(t, cli.ExitOK).stdout; got != "{\"letters\":[]}\n" {
		t.Errorf("got %q", got)
	}
	s.settings.Group.Group = "nonsuch"
	testkit.WantParts(t, s.redrive("groups").want(t, cli.ExitNothing).stderr, fmt.Sprintf("topic %s.nonsuch.dlq at ", s.topics.Input), "try: consumer run")
}
