package app

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
)

// spoiler makes messages that nobody should send out of such as one should.
type spoiler struct{ *rand.Rand }

// message is one of any shape: an event with a few bytes changed, cut off,
// repeated or put in, under any key and headers, ours among them.
func (r spoiler) message(n int) order.Message {
	id := fmt.Sprintf("A-%d", r.IntN(n+1))
	value := []byte(create(id, []string{"apple", "nonsuch"}[r.IntN(2)], 1+r.IntN(3)))
	if r.IntN(4) == 0 {
		value = []byte(cancelOf(id))
	}
	for range r.IntN(4) {
		value = r.spoil(value)
	}
	m := order.Message{Key: r.spoil([]byte(id)), Value: value}
	for range r.IntN(4) {
		names := []string{order.HeaderAttempt, order.HeaderNotBefore, order.HeaderOriginalOffset, order.HeaderOriginalTopic, order.HeaderReplayID,
			order.HeaderType, order.HeaderTime, order.HeaderID, order.HeaderAttemptHistory, order.HeaderTraceParent, "shop", ""}
		m.Headers = append(m.Headers, order.Header{Key: names[r.IntN(len(names))], Value: r.spoil([]byte("2026-11-23T01:02:03Z"))})
	}
	switch r.IntN(20) {
	case 0:
		m.Value = nil
	case 1:
		m.Key = nil
	}
	return m
}

func (r spoiler) spoil(text []byte) []byte {
	at := r.IntN(len(text) + 1)
	switch r.IntN(5) {
	case 0:
		return slices.Clone(text[:at])
	case 1:
		return append(slices.Clone(text), text[at:]...)
	case 2:
		odd := []string{"\x00", "\xff", "\"", "{", "]", "-", "1e9", "\u2028", "null", `\ud800`, "\n"}
		return slices.Insert(slices.Clone(text), at, []byte(odd[r.IntN(len(odd))])...)
	case 3:
		if at < len(text) {
			text = slices.Clone(text)
			text[at] ^= 1 << r.IntN(8)
		}
		return text
	default:
		return text
	}
}

// TestAnyBytesComeToAnEnd publishes messages of any shape: each has one outcome,
// and one that is no event is a dead letter with all of its bytes.
func TestAnyBytesComeToAnEnd(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions, s.Flow.MaxDeadRatio = 1, 0 })
	s.stocked(map[string]int64{"apple": 50})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := spoiler{rand.New(rand.NewPCG(seed, 0))}
	const messages = 500
	for n := range messages {
		m := r.message(n)
		m.Topic = s.topics.Input
		s.sendMessages(m) // one by one: their offsets are their numbers
	}
	s.settle(s.open())

	outcomes := 0
	for _, list := range s.outcomes() {
		outcomes += len(list)
	}
	if outcomes != messages {
		t.Errorf("%d messages have %d outcomes", messages, outcomes)
	}
	broken := make(map[string]int)
	for _, m := range s.read(s.topics.Input) {
		if _, err := order.Decode(&m); err != nil {
			broken[whole(m)]++
		}
	}
	if len(broken) < messages/10 {
		t.Fatalf("only %d of %d messages are broken: nothing is shown", len(broken), messages)
	}
	for _, m := range s.read(s.topics.Dead) {
		if header(m, order.HeaderErrorCode) == "" || header(m, order.HeaderErrorMessage) == "" {
			t.Errorf("dead letter %d does not say why", m.Offset)
		}
		if broken[whole(m)]--; broken[whole(m)] <= 0 {
			delete(broken, whole(m))
		}
	}
	if diff := cmp.Diff(map[string]int{}, broken); diff != "" {
		t.Errorf("broken messages without a dead letter of the same bytes:\n%s", diff)
	}
	s.audit(cli.ExitOK)
}

// whole is what of a message has to stay as it was.
func whole(m order.Message) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v %q %v %q", m.Key == nil, m.Key, m.Value == nil, m.Value)
	for _, h := range m.Headers {
		if h.Key == order.HeaderTraceParent || h.Key == "shop" || h.Key == order.HeaderType || h.Key == order.HeaderID || h.Key == order.HeaderTime || h.Key == "" {
			fmt.Fprintf(&b, " %s=%q", h.Key, h.Value)
		}
	}
	return b.String()
}
