package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/testkit"
)

// replayed is one call of producer replay.
type replayed struct {
	code           cli.Exit
	stdout, stderr string
}

// replay calls producer replay with the shop's servers and group.
func (s *shop) replay(args ...string) replayed {
	s.t.Helper()
	return s.replayFrom("", args...)
}

// replayFrom is replay with something on the standard input.
func (s *shop) replayFrom(stdin string, args ...string) replayed {
	s.t.Helper()
	args = append([]string{"replay"}, s.replayArgs(args...)...)
	var stdout, stderr bytes.Buffer
	p := ProducerProgram{OpenLedger: testkit.OpenLedger}.program()
	code := p.RunUnder(make(chan os.Signal, 2), args,
		cli.Streams{Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr})
	s.t.Logf("%v: exit %d\n%s%s", args, code, tail(stdout.String()), stderr.String())
	return replayed{code, stdout.String(), stderr.String()}
}

// replayArgs adds the shop's servers and group.
func (s *shop) replayArgs(args ...string) []string {
	g := s.settings
	where := []string{"--database-url=" + g.Database.URL}
	switch {
	case len(args) > 0 && (args[0] == "list" || args[0] == "show" || args[0] == "cancel"):
	case len(args) > 0 && args[0] == "resume":
		where = append(where, "--kafka-brokers="+strings.Join(g.Kafka.Brokers, ","))
	default:
		where = append(where, "--kafka-brokers="+strings.Join(g.Kafka.Brokers, ","),
			"--group="+g.Group.Group, "--input-topic="+g.Group.Topic,
			"--retry-after="+g.Group.RetryAfter[0].String()+","+g.Group.RetryAfter[1].String())
	}
	return slices.Concat(args, where)
}

// tail is the end of a long answer.
func tail(text string) string {
	const most = 2000
	return text[max(0, len(text)-most):]
}

// fullAnswer is the answer of a replay as JSON.
type fullAnswer struct {
	Messages []plannedMessage `json:"messages"`
	Plan     struct {
		Selected  int64                `json:"selected"`
		Publish   int64                `json:"publish"`
		NoEffect  bool                 `json:"no_effect"`
		Unsettled int64                `json:"unsettled"`
		Classes   []replay.ClassCount  `json:"classes"`
		Goods     []replay.GoodsChange `json:"goods"`
		Ranges    []replay.Range       `json:"ranges"`
	} `json:"plan"`
	Replay *shownReplay `json:"replay"`
}

func (r replayed) answer(t *testing.T) fullAnswer {
	t.Helper()
	var a fullAnswer
	if err := json.Unmarshal([]byte(r.stdout), &a); err != nil {
		t.Fatalf("%v in %s", err, tail(r.stdout))
	}
	return a
}

func (a fullAnswer) classes() map[replay.Class]int64 {
	counts := make(map[replay.Class]int64)
	for _, c := range a.Plan.Classes {
		counts[c.Class] = c.Messages
	}
	return counts
}

func (r replayed) want(t *testing.T, code cli.Exit, parts ...string) replayed {
	t.Helper()
	if r.code != code {
		t.Errorf("exit %d, want %d: %s", r.code, code, r.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(r.stdout+r.stderr, part) {
			t.Errorf("%q is not in:\n%s%s", part, tail(r.stdout), r.stderr)
		}
	}
	return r
}

// running has an instance at work until the test ends.
func (s *shop) running() {
	s.t.Helper()
	i := s.open()
	take, stop := context.WithCancel(s.t.Context())
	ran := make(chan error, 1)
	go func() { ran <- i.Run(take, s.t.Context()) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			s.t.Errorf("the instance: %v", err)
		}
	})
	s.awaitMembers(1)
}

// replayedShop is a shop whose topic has been consumed: orders that were
// deducted, rejected, released, voided, one that is dead, and a conflict.
func replayedShop(t *testing.T) *shop {
	t.Helper()
	s := newShop(t)
	s.stocked(map[string]int64{"apple": 100, "pear": 5, "plum": 3})
	var messages []order.Message
	add := func(id, value string) {
		messages = append(messages, order.Message{Topic: s.topics.Input, Key: []byte(id), Value: []byte(value),
			Headers: []order.Header{{Key: "shop", Value: []byte{0xff, 0}}}})
	}
	for n := range 20 {
		id := fmt.Sprint("A-", n)
		add(id, create(id, "apple", 2))
	}
	add("A-3", cancelOf("A-3"))
	add("A-4", create("A-4", "apple", 2)) // again
	add("A-5", create("A-5", "apple", 9)) // conflict
	add("B-1", create("B-1", "plum", 4))  // short
	add("C-1", cancelOf("C-1"))           // never comes
	add("D-1", "{broken")
	s.sendMessages(messages...)
	s.settle(s.open())
	s.expectLevels(map[string]int64{"apple": 62, "pear": 5, "plum": 3})
	return s
}

func TestReplayOfWhatIsAppliedSaysThatItChangesNothingAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := replayedShop(t)
	plan := s.replay("-o", "json").want(t, cli.ExitOK, "nothing is published")
	want := map[replay.Class]int64{
		replay.AlreadyApplied: 23, replay.AlreadyRejected: 1, replay.Conflict: 1, replay.Undecodable: 1,
	}
	if diff := cmp.Diff(want, plan.answer(t).classes()); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
	if a := plan.answer(t); !a.Plan.NoEffect || len(a.Plan.Goods) != 0 || len(a.Messages) != 26 || a.Plan.Publish != 24 {
		t.Errorf("plan: %+v", a.Plan)
	}
	s.replay().want(t, cli.ExitOK, "already applied: no effect", "no stock changes")
	s.replay("list").want(t, cli.ExitOK, "no replays yet")
	if s.count(s.topics.Tiers[0].Topic) != 0 {
		t.Error("the plan has published")
	}

	s.running()
	done := s.replay("--execute", "--reason", "test", "-o", "json").want(t, cli.ExitOK).answer(t)
	if done.Replay.State != "done" || done.Replay.Progress.Published != 24 || done.Replay.Progress.FailedAgain() != 0 {
		t.Errorf("replay: %+v", done.Replay)
	}
	s.expectLevels(map[string]int64{"apple": 62, "pear": 5, "plum": 3})
	if n := s.count(s.topics.Input); n != 26 {
		t.Errorf("the input topic has %d messages, it had 26", n)
	}
	s.replayedBytes(done.Replay.ID, 24)
	s.replay("list").want(t, cli.ExitOK, done.Replay.ID, "24/24", "done")
	s.replay("show", done.Replay.ID).want(t, cli.ExitOK, "test", "1 conflict", "1 undecodable")
	s.replay("resume", done.Replay.ID).want(t, cli.ExitFailed, "has ended", "replay show")
	s.replay("cancel", done.Replay.ID).want(t, cli.ExitFailed, "has ended")
	// The replayed copies were replayed once: the cap counts them.
	s.replay("--topic", s.topics.Tiers[0].Topic, "--max-replays", "1").want(t, cli.ExitOK, "replayed_too_often", "nothing to publish", "raise it: --max-replays N")
}

// count is how many messages stand in a topic.
func (s *shop) count(topic string) int64 {
	s.t.Helper()
	ranges, err := s.client.Ranges(s.t.Context(), topic)
	if err != nil {
		s.t.Fatal(err)
	}
	n := int64(0)
	for _, r := range ranges {
		n += r.Messages()
	}
	return n
}

// replayedBytes holds what a replay published against the originals.
func (s *shop) replayedBytes(id string, want int) {
	s.t.Helper()
	originals := make(map[string]order.Message)
	for _, m := range s.read(s.topics.Input) {
		originals[replay.Place(&m)] = m
	}
	got := 0
	seen := make(map[string]bool)
	for _, m := range s.read(s.topics.Tiers[0].Topic) {
		d := order.ParseDelivery(&m)
		if d.ReplayID != id {
			continue
		}
		got++
		place := fmt.Sprintf("%s/%d@%d", d.Origin.Topic, d.Origin.Partition, d.Origin.Offset)
		o, ok := originals[place]
		if !ok || seen[place] || !bytes.Equal(o.Key, m.Key) || !bytes.Equal(o.Value, m.Value) ||
			!cmp.Equal(o.Headers, m.Headers[:len(o.Headers)]) || d.ReplayCount != 1 || d.Attempt != 2 || !d.NotBefore.IsZero() {
			s.t.Errorf("%s as %+v, was %+v", place, m, o)
		}
		seen[place] = true
	}
	if got != want {
		s.t.Errorf("%d messages of replay %s, want %d", got, id, want)
	}
}

// forget removes orders and their movements from the database, and brings their
// levels back: what a restore of an older dump leaves.
func (s *shop) forget(orders ...string) {
	s.t.Helper()
	s.servers.Exec(s.t, func(exec func(query string, args ...any)) {
		for _, id := range orders {
			movements, err := s.ledger.Movements(s.t.Context(), id)
			if err != nil {
				s.t.Fatal(err)
			}
			for _, m := range movements {
				exec("UPDATE stock SET available = available - ? WHERE goods_id = ?", m.Delta, []byte(m.Goods))
			}
			exec("DELETE FROM movements WHERE ref = ?", []byte(id))
			exec("DELETE FROM orders WHERE order_id = ?", []byte(id))
		}
	})
}

func TestReplayBringsARestoredDatabaseLevelAsThePlanSaid(t *testing.T) {
	t.Parallel()
	s := replayedShop(t)
	s.forget("A-1", "A-2", "A-3", "A-4", "C-1", "B-1")
	s.expectLevels(map[string]int64{"apple": 68, "plum": 3})
	a := s.replay("-o", "json", "--changes-only").want(t, cli.ExitOK).answer(t)
	want := map[replay.Class]int64{
		replay.Unneeded: 17, replay.WillDeduct: 4, replay.WillRelease: 1, replay.WillReject: 1, replay.WillVoid: 1,
		replay.Conflict: 1, replay.Undecodable: 1,
	}
	if diff := cmp.Diff(want, a.classes()); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]replay.GoodsChange{
		{GoodsID: "apple", Before: 68, After: 62, Deducted: 8, Released: 2, Orders: 5},
		{GoodsID: "plum", Before: 3, After: 3, Contested: true},
	}, a.Plan.Goods); diff != "" {
		t.Errorf("goods (-want +got):\n%s", diff)
	}
	s.replay("--changes-only").want(t, cli.ExitOK, "short of plum by 1", "1 goods is wanted more than there is")
	s.running()
	done := s.replay("--execute", "--reason", "restored", "--changes-only", "-o", "json").want(t, cli.ExitOK).answer(t)
	if done.Replay.Progress.Published != 7 {
		t.Errorf("published %d, want 7", done.Replay.Progress.Published)
	}
	s.expectLevels(map[string]int64{"apple": 62, "pear": 5, "plum": 3})
	s.expectState("A-3", stock.Released)
	s.expectState("B-1", stock.Rejected)
	s.expectState("C-1", stock.Voided)
	if again := s.replay("-o", "json").answer(t); !again.Plan.NoEffect {
		t.Errorf("not level: %+v", again.Plan)
	}
}

func TestReplayStopsAtItsRampAndIsResumed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.stocked(map[string]int64{"apple": 100})
	for n := range 40 { // half of them want goods that nobody has
		s.send(create(fmt.Sprint("A-", n), []string{"apple", "quince"}[n%2], 1))
	}
	s.settle(s.open())
	s.running()
	first := s.replay("--execute", "--reason", "too early", "--ramp", "1,8,rest", "--max-failed", "0.2", "--changes-only", "-o", "json").
		want(t, cli.ExitPartial, "failed again", "replay resume").answer(t)
	p := first.Replay.Progress
	if first.Replay.State != "stopped" || p.Published != 1 && p.Published != 9 || p.FailedAgain() == 0 {
		t.Fatalf("replay: %+v", first.Replay)
	}
	// The goods have come: what failed heals, and so does the rest.
	s.stocked(map[string]int64{"quince": 100})
	s.replay("resume", first.Replay.ID, "-o", "json").want(t, cli.ExitOK)
	var shown shownReplay
	show := s.replay("show", first.Replay.ID, "-o", "json").want(t, cli.ExitOK)
	if err := json.Unmarshal([]byte(show.stdout), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.State != "done" || shown.Progress.Published != 20 || shown.Progress.FailedAgain() != p.FailedAgain() {
		t.Errorf("resumed: %+v", shown)
	}
	s.awaitTiers()
	s.expectLevels(map[string]int64{"apple": 80})
	// What had failed before the goods came has healed in the last tier, or was
	// through with it by then and is dead once more.
	dead := int64(0)
	for _, m := range s.read(s.topics.Dead) {
		if order.ParseDelivery(&m).ReplayID == first.Replay.ID {
			dead++
		}
	}
	if dead > p.FailedAgain() {
		t.Errorf("%d dead again, only %d had failed", dead, p.FailedAgain())
	}
	s.expectLevels(map[string]int64{"quince": 80 + dead})
}

// awaitTiers returns when everything in the tiers is settled.
func (s *shop) awaitTiers() {
	s.t.Helper()
	var tiers []string
	for _, tier := range s.topics.Tiers {
		tiers = append(tiers, tier.Topic)
	}
	err := s.client.WaitSettled(s.t.Context(), s.settings.Group.Group, s.topics.Input, tiers, func(string, int64) {})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestReplayStopsWhenTheAuditFindsAnything(t *testing.T) {
	t.Parallel()
	s := replayedShop(t)
	s.servers.Exec(t, func(exec func(query string, args ...any)) {
		exec("UPDATE stock SET available = available + 1 WHERE goods_id = ?", []byte("pear"))
	})
	got := s.replay("--execute", "--reason", "test").want(t, cli.ExitPartial, "the audit of the database has 1 finding; consumer audit --log shows")
	if s.count(s.topics.Tiers[0].Topic) != 0 {
		t.Errorf("something was published: %s", got.stderr)
	}
}

func TestReplayHoldsBackACancelWhoseOrderWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.send(create("A-1", "quince", 1))
	s.settle(s.open()) // dead now, after both tiers
	s.stocked(map[string]int64{"quince": 5})
	s.sendMessages(order.Message{Topic: s.topics.Input, Key: []byte("0"), Value: []byte(cancelOf("A-1"))})
	s.replay("--type", "order.cancelled").want(t, cli.ExitOK, "held_back", "its order waits in "+s.topics.Dead, "nothing to publish")
	// With its order before it, it goes.
	a := s.replay("-o", "json").answer(t)
	if diff := cmp.Diff(map[replay.Class]int64{replay.WillDeduct: 1, replay.WillRelease: 1}, a.classes()); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
}

func TestTwoReplaysOfTheSameMessagesAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	s := replayedShop(t)
	// Nobody consumes: the first one waits for its first message to be settled,
	// until it has been patient for long enough.
	first := s.replay("--execute", "--reason", "one", "--patience", "50ms", "-o", "json").want(t, cli.ExitPartial, "no consumer of the group is at work")
	id := first.answer(t).Replay.ID
	s.servers.Exec(t, func(exec func(query string, args ...any)) {
		exec("UPDATE replays SET state = 'running' WHERE replay_id = ?", []byte(id))
	})
	s.replay("--execute", "--reason", "two", "--partition", "0,1,2", "--rate", "0").want(t, cli.ExitFailed, "replay "+id+" has", "replay show "+id+" until it is done, or producer replay cancel "+id)
	s.replay("resume", id).want(t, cli.ExitFailed, "is being worked on", "replay cancel "+id)
	// Its process has died: nothing was heard of it for long.
	s.servers.Exec(t, func(exec func(query string, args ...any)) {
		exec("UPDATE replays SET beat_at = '2026-01-01 00:00:00' WHERE replay_id = ?", []byte(id))
	})
	s.replay("list").want(t, cli.ExitOK, "interrupted")
	s.replay("--execute", "--reason", "three").want(t, cli.ExitFailed, "replay resume "+id+", or producer replay cancel "+id)
	s.replay("cancel", id, "--note", "not needed").want(t, cli.ExitOK, "cancelled", "not needed")
	s.running()
	s.replay("--execute", "--reason", "four").want(t, cli.ExitOK)
}

func TestReplaySelectionsThatMakeNoSenseNameTheNextCommand(t *testing.T) {
	t.Parallel()
	s := replayedShop(t)
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, tt := range []struct {
		name  string
		args  []string
		code  cli.Exit
		parts []string
	}{
		{"no time", []string{"--from", "yesterday"}, cli.ExitUsage, []string{`"yesterday" is no time`, "try: --from 20"}},
		{"a time to come", []string{"--from", later}, cli.ExitUsage, []string{"in the future", "a time with its zone"}},
		{"backwards", []string{"--from", "5m", "--to", "10m"}, cli.ExitUsage, []string{"nothing is from", "try: --from"}},
		{"a day without messages", []string{"--from", "2020-01-01", "--to", "2020-01-02"}, cli.ExitNothing, []string{"holds no message", "--from start"}},
		{"an offset to come", []string{"--partition", "0", "--from", "1000"}, cli.ExitUsage, []string{"has no offset 1000 yet"}},
		{"seconds since 1970", []string{"--from", "1764237600"}, cli.ExitUsage, []string{"if it is a time: --from 2025-11-27T10:00:00.000Z"}},
		{"milliseconds since 1970", []string{"--to", "1764237600123"}, cli.ExitUsage, []string{"if it is a time: --to 2025-11-27T10:00:00.123Z"}},
		{"a negative offset", []string{"--from=-1"}, cli.ExitUsage, []string{"the first one is 0"}},
		{"a partition too many", []string{"--partition", "7"}, cli.ExitUsage, []string{"has no partition 7"}},
		{"a topic that is not there", []string{"--topic", "nonsuch-topic"}, cli.ExitFailed, []string{"topic nonsuch-topic", "there are ", "try: producer replay --topic "}},
		{"nothing passes", []string{"--order", "nobody"}, cli.ExitNothing, []string{"none of 26 messages passes the filter"}},
		{"no filter", []string{"--filter", "what"}, cli.ExitUsage, []string{"HEADER=VALUE"}},
		{"no reason", []string{"--execute"}, cli.ExitUsage, []string{"--reason"}},
		{"no ramp", []string{"--ramp", "1,2"}, cli.ExitUsage, []string{"want sizes that end with rest"}},
		{"a target that is not there", []string{"--to-topic", "nonsuch-topic"}, cli.ExitFailed, []string{"EVERY group", "does not exist"}},
		{"a ramp in a topic the group does not read", []string{"--to-topic", s.topics.Results, "--ramp", "1,rest"}, cli.ExitUsage, []string{"does not read"}},
		{"no such replay", []string{"show", "nonsuch"}, cli.ExitNothing, []string{"no such replay", "replay list"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.replay(tt.args...)
			got.want(t, tt.code, tt.parts...)
			if !strings.Contains(got.stderr, "try: ") && !strings.Contains(got.stderr, "want ") && tt.code != cli.ExitUsage {
				t.Errorf("no next command in %q", got.stderr)
			}
		})
	}
	s.servers.DeleteRecords(t, s.topics.Input, 0, 3)
	s.replay("--partition", "0", "--from", "1").want(t, cli.ExitUsage, "offset 1 of "+s.topics.Input+"/0 has been removed", "--from 3")
}

// forgetAll is the restore of a dump from before the first order: no order, no
// movement of one, and the levels of then.
func (s *shop) forgetAll() {
	s.t.Helper()
	s.servers.Exec(s.t, func(exec func(query string, args ...any)) {
		exec("DELETE FROM orders")
		exec("DELETE FROM movements WHERE kind IN ('deduct', 'release')")
		exec("UPDATE stock SET available = (SELECT SUM(delta) FROM movements WHERE movements.goods_id = stock.goods_id)")
	})
}

// TestKilledReplayGoesOnWhereItWas kills the process of a replay with signal 9 in
// the middle of a stage. Resumed, the replay publishes every message, and none
// twice but those of the batch that was in flight; the levels come out as the
// plan had named them.
func TestKilledReplayGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.stocked(map[string]int64{"apple": 10_000, "pear": 10_000})
	const orders, perSecond, inFlight = 1500, 500, 100 // a batch is a fifth of a second
	var messages []order.Message
	for n := range orders {
		id := fmt.Sprint("A-", n)
		messages = append(messages, order.Message{Topic: s.topics.Input, Key: []byte(id), Value: []byte(create(id, []string{"apple", "pear"}[n%2], 1+n%3))})
	}
	s.sendMessages(messages...)
	s.settle(s.open())
	s.forgetAll()
	s.expectLevels(map[string]int64{"apple": 10_000, "pear": 10_000})
	plan := s.replay("-o", "json").want(t, cli.ExitOK).answer(t)
	if n := plan.classes()[replay.WillDeduct]; n != orders {
		t.Fatalf("%d orders will deduct, want %d", n, orders)
	}
	s.running()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"replay"}, s.replayArgs("--execute", "--reason", "restored", fmt.Sprint("--rate=", perSecond))...)...)
	cmd.Env = append(os.Environ(), childVariable+"="+producerChild)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, done: make(chan error, 1)}
	go func() { p.done <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	s.awaitCount(s.topics.Tiers[0].Topic, orders/3)
	_ = p.signal(t, syscall.SIGKILL)

	list := s.replay("list", "-o", "jsonl")
	var killed shownReplay
	if err := json.Unmarshal([]byte(list.stdout), &killed); err != nil {
		t.Fatal(err)
	}
	if n := killed.Progress.Published; killed.State != "running" || n == 0 || n >= orders {
		t.Fatalf("it was not killed in the middle: %+v", killed)
	}
	s.replay("resume", killed.ID).want(t, cli.ExitFailed, "is being worked on") // it may still live
	s.servers.Exec(t, func(exec func(query string, args ...any)) {
		exec("UPDATE replays SET beat_at = '2026-01-01 00:00:00' WHERE replay_id = ?", []byte(killed.ID))
	})
	s.replay("resume", killed.ID, "--rate=0").want(t, cli.ExitOK, "is done")

	times := make(map[string]int)
	for _, m := range s.read(s.topics.Tiers[0].Topic) {
		times[string(m.Key)]++
	}
	twice := 0
	for _, n := range times {
		twice += n - 1
	}
	t.Logf("killed after %d of %d; %d were published twice", killed.Progress.Published, orders, twice)
	if len(times) != orders || twice > inFlight {
		t.Errorf("%d of %d orders were published, %d twice", len(times), orders, twice)
	}
	levels := make(map[string]int64)
	for _, g := range plan.Plan.Goods {
		levels[g.GoodsID] = g.After
	}
	s.expectLevels(levels)
	s.replay().want(t, cli.ExitOK, "no stock changes")
}

// awaitCount returns when a topic has at least so many messages.
func (s *shop) awaitCount(topic string, least int64) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(testTimeout); s.count(topic) < least; <-tick.C {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not come to %d messages", topic, least)
		}
	}
}
