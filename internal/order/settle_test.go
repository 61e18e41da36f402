package order

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// limitedLog refuses what is larger than its topic takes, and all that is sent
// with it.
type limitedLog struct {
	Observer // nothing but pauses is reported by what is tested here

	limits map[string]int
	got    []Message
	paused chan error
}

func (l *limitedLog) Paused(_ string, err error) {
	select {
	case l.paused <- err:
	default:
	}
}

func (l *limitedLog) Publish(_ context.Context, messages []Message) ([]Message, error) {
	for i := range messages {
		if limit, ok := l.limits[messages[i].Topic]; ok && messages[i].size() > limit {
			return messages, fmt.Errorf("%w: %w", ErrPublish, ErrTooLarge)
		}
	}
	l.got = append(l.got, messages...)
	return nil, nil
}

func (l *limitedLog) topics() []string {
	var topics []string
	for i := range l.got {
		topics = append(topics, l.got[i].Topic)
	}
	return topics
}

func limitedFlow(limits map[string]int) (*Flow, *limitedLog) {
	l := &limitedLog{limits: limits, paused: make(chan error, 1)}
	topics := NewTopics("orders", "g", []time.Duration{5 * time.Second})
	now := func() time.Time { return appended.Add(time.Second) }
	return NewFlow(FlowConfig{Topics: topics, Group: "g"}, FlowDeps{Publisher: l, Observer: l, Now: now}), l
}

func order300K() Message {
	m := *readMessage("a", "1")
	m.Value = []byte(`{"type":"order.created","order_id":"A-1","items":[{"goods_id":"421","num":2}]}` + strings.Repeat(" ", 300_000))
	return m
}

func TestPublishGoesOnWithoutWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	const dead, tier, results = "orders.g.dlq", "orders.g.retry.5s", "orders.results"
	for _, c := range []struct {
		name, refuses string
		cause         error
		want          []string
		attempt       string
	}{
		{"a dead letter is cut and stays where it was", dead, ErrConflict, []string{results, dead, results}, "1"},
		{"a retry becomes a dead letter with an outcome", tier, ErrGoodsUnknown, []string{results, dead, results}, "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, log := limitedFlow(map[string]int{c.refuses: refusedBytes})
			m := order300K()
			messages, _ := f.failed(newTask(m, nil, appended, 0), c.cause)
			err := f.publish(t.Context(), append([]Message{{Topic: results}}, messages...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, log.topics()); diff != "" {
				t.Fatal(diff)
			}
			got := log.got[1]
			d := ParseDelivery(&got)
			if d.Truncated == nil || *d.Truncated != int64(len(m.Value)) || d.Origin != here || !d.NotBefore.IsZero() {
				t.Errorf("got delivery %+v", d)
			}
			if attempt, _ := got.Header(HeaderAttempt); string(attempt) != c.attempt {
				t.Errorf("attempt %s, want %s", attempt, c.attempt)
			}
			if code, _ := got.Header(HeaderErrorCode); string(code) != CodeTooLarge {
				t.Errorf("code %s", code)
			}
			o, err := DecodeOutcome(log.got[2].Value)
			if err != nil || o.Type != OutcomeDead || o.OrderID != "A-1" || o.Origin != here {
				t.Errorf("got outcome %+v, %v", o, err)
			}
		})
	}
}

func TestPublishWaitsForWhatCannotBecomeSmaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, log := limitedFlow(map[string]int{"orders.results": 10, "orders.g.dlq": 10})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		messages := []Message{{Topic: "orders.results", Value: make([]byte, 11)}, {Topic: "orders.g.dlq", Value: make([]byte, 11)}, {Topic: "else"}}
		go func() { done <- f.publish(ctx, messages) }()
		err := <-log.paused
		stop()
		if err == nil || <-done == nil {
			t.Errorf("paused for %v, and all is published", err)
		}
		if diff := cmp.Diff([]string{"else"}, log.topics()); diff != "" {
			t.Errorf("published: %s", diff)
		}
	})
}

func TestAnEventTooLargeToBeCopiedIsNotRetried(t *testing.T) {
	t.Parallel()
	f, _ := limitedFlow(nil)
	m := order300K()
	m.Headers = append(m.Headers, Header{Key: "big", Value: make([]byte, 2<<20)})
	messages, settlement := f.failed(newTask(m, nil, appended, 0), ErrGoodsUnknown)
	if settlement.Outcome != SettledDead || settlement.Code != CodeTooLarge {
		t.Errorf("got %+v, want dead of %s", settlement, CodeTooLarge)
	}
	dead := messages[0]
	text, _ := dead.Header(HeaderErrorMessage)
	_, foreign := dead.Header("big")
	if dead.Topic != "orders.g.dlq" || foreign || !bytes.Equal(dead.Value, m.Value) || !strings.Contains(string(text), ErrGoodsUnknown.Error()) {
		t.Errorf("dead letter to %s with %d bytes and headers %.2000q", dead.Topic, len(dead.Value), texts(dead.Headers))
	}
}

func TestForwardPartKeepsItsLimit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\u5355\n\"\xff", 2000)
	d := Delivery{Origin: here, OriginTime: appended, Attempt: 1, ReplayID: strings.Repeat("r", maxReplayIDBytes), ReplayCount: 1}
	d.Origin.Topic = strings.Repeat("t", maxTopicBytes)
	for _, c := range []struct {
		name    string
		key     int
		value   int
		headers []Header
	}{
		{"a long value", 3, 5 << 20, []Header{{Key: "a", Value: []byte("1")}}},
		{"a long key", 3 << 20, 0, nil},
		{"a long header", 3, 10, []Header{{Key: "a", Value: make([]byte, 3<<20)}}},
		{"a million headers of nothing", 3, 10, make([]Header, 1_000_000)},
		{"a long header of our own", 3, 10, []Header{{Key: HeaderErrorMessage, Value: make([]byte, 3<<20)}}},
	} {
		for _, limit := range []int{refusedBytes, MaxForwardBytes} {
			m := &Message{Key: make([]byte, c.key), Value: make([]byte, c.value), Headers: c.headers}
			for range maxHistory { // as much history as there can be
				copied := Forward(m, d, Failure{Code: long, Message: long, At: appended})
				m.Headers = slices.Concat(c.headers, slices.DeleteFunc(copied.Headers, func(h Header) bool { return !isOwn(h.Key) }))
			}
			got := forwardPart(m, d, Failure{Code: long, Message: long, At: appended, NotBefore: appended, Group: strings.Repeat("g", 249)}, limit)
			whole := ParseDelivery(&got).Truncated
			if got.size() > limit || whole == nil || *whole != int64(c.value) || len(got.Value) < min(c.value, limit/3) {
				t.Errorf("%s: %d bytes of %d, value %d of %v", c.name, got.size(), limit, len(got.Value), whole)
			}
			again := Forward(&got, ParseDelivery(&got), Failure{})
			if kept := ParseDelivery(&again).Truncated; kept == nil || *kept != *whole {
				t.Errorf("%s: a copy of the copy forgets that it is a part", c.name)
			}
		}
	}
}

func TestAnOutcomeTakesOverNoTraceparentThatIsNone(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]bool{0: false, 55: true, maxTraceParentBytes: true, maxTraceParentBytes + 1: false} {
		m := (&Outcome{ID: "e"}).Message("orders.results", make([]byte, length))
		if _, got := m.Header(HeaderTraceParent); got != want {
			t.Errorf("%d bytes: taken over %v, want %v", length, got, want)
		}
	}
}
