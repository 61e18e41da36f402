package order

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// texts lists headers as "key: value".
func texts(headers []Header) []string {
	var all []string
	for _, h := range headers {
		all = append(all, h.Key+": "+string(h.Value))
	}
	return all
}

func TestForwardKeepsTheMessageAndAddsItsOwnHeaders(t *testing.T) {
	t.Parallel()
	m := readMessage("b", "2", "traceparent", "00-1", "a", "\xff\x00", "b", "1")
	got := Forward(m, ParseDelivery(m), Failure{
		Code: "goods_locked", Message: "goods 421 are locked", Group: "g",
		At: appended.Add(time.Second), NotBefore: appended.Add(6 * time.Second),
	})
	want := []string{
		"b: 2", "traceparent: 00-1", "a: \xff\x00", "b: 1",
		"x-original-topic: orders", "x-original-partition: 3", "x-original-offset: 1042",
		"x-original-timestamp: 2026-11-23T01:02:03.456Z",
		"x-attempt: 2", "x-not-before: 2026-11-23T01:02:09.456Z",
		"x-first-failed-at: 2026-11-23T01:02:04.456Z", "x-last-failed-at: 2026-11-23T01:02:04.456Z",
		"x-error-code: goods_locked", "x-error-message: goods 421 are locked",
		`x-attempt-history: [{"attempt":1,"at":"2026-11-23T01:02:04.456Z","code":"goods_locked","message":"goods 421 are locked"}]`,
		"x-consumer-group: g",
	}
	if diff := cmp.Diff(want, texts(got.Headers)); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(got.Key, m.Key) || !bytes.Equal(got.Value, m.Value) {
		t.Errorf("key %q and value %q became %q and %q", m.Key, m.Value, got.Key, got.Value)
	}
	if len(m.Headers) != 4 {
		t.Errorf("the message itself now has headers %q", texts(m.Headers))
	}
}

func TestForwardTellsNullFromEmpty(t *testing.T) {
	t.Parallel()
	for _, m := range []Message{{}, {Key: []byte{}, Value: []byte{}}} {
		got := Forward(&m, ParseDelivery(&m), Failure{})
		if (got.Key == nil) != (m.Key == nil) || (got.Value == nil) != (m.Value == nil) {
			t.Errorf("key %#v and value %#v became %#v and %#v", m.Key, m.Value, got.Key, got.Value)
		}
	}
}

// hop is what happens between two attempts: the copy is appended to a topic and
// read from there.
func hop(copied Message, topic string, at time.Time) *Message {
	copied.Topic, copied.Partition, copied.Offset, copied.Time = topic, 11, 77, at
	return &copied
}

func TestForwardAgainAndAgainReplacesItsHeaders(t *testing.T) {
	t.Parallel()
	m := readMessage("a", "1", HeaderReplayID, "r-1", HeaderReplayCount, "2")
	at := appended
	for attempt := 1; attempt <= 4; attempt++ {
		d := ParseDelivery(m)
		if d.Attempt != attempt || d.Origin != here || !d.OriginTime.Equal(appended) || d.ReplayID != "r-1" || d.ReplayCount != 2 {
			t.Fatalf("attempt %d: got delivery %+v", attempt, d)
		}
		at = at.Add(time.Minute)
		f := Failure{Code: fmt.Sprintf("code_%d", attempt), Message: "m", At: at, Group: "g", NotBefore: at.Add(time.Second)}
		if attempt == 4 {
			f.NotBefore = time.Time{}
		}
		m = hop(Forward(m, d, f), "orders.g.retry.5s", at)
		keys := map[string]int{}
		for _, h := range m.Headers {
			keys[h.Key]++
			if keys[h.Key] > 1 {
				t.Fatalf("attempt %d: header %s comes twice", attempt, h.Key)
			}
		}
	}
	for key, want := range map[string]string{
		HeaderAttempt:       "4",
		HeaderFirstFailedAt: "2026-11-23T01:03:03.456Z",
		HeaderLastFailedAt:  "2026-11-23T01:06:03.456Z",
		HeaderErrorCode:     "code_4",
		HeaderReplayID:      "r-1",
		HeaderReplayCount:   "2",
	} {
		if got, _ := m.Header(key); string(got) != want {
			t.Errorf("header %s of the dead letter: got %q, want %q", key, got, want)
		}
	}
	if due, ok := m.Header(HeaderNotBefore); ok {
		t.Errorf("the dead letter is due at %s", due)
	}
	var codes []string
	for i, past := range History(m) {
		codes = append(codes, past.Code)
		if want := appended.Add(time.Duration(i+1) * time.Minute); past.Attempt != i+1 || !past.At.Equal(want) {
			t.Errorf("failure %d: got attempt %d at %v, want at %v", i, past.Attempt, past.At, want)
		}
	}
	if want := []string{"code_1", "code_2", "code_3", "code_4"}; !slices.Equal(codes, want) {
		t.Errorf("got history %v, want %v", codes, want)
	}
}

func TestForwardBoundsWhatItWrites(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\u5355\n\"\xff", 2000)
	m := readMessage()
	for range 3 * maxHistory {
		m = hop(Forward(m, ParseDelivery(m), Failure{Code: long, Message: long, At: appended, Group: "g"}), "t", appended)
	}
	size := 0
	for _, h := range m.Headers {
		size += len(h.Key) + len(h.Value)
		if !utf8.Valid(h.Value) || hasControl(h.Value) {
			t.Errorf("header %s is no text: %q", h.Key, h.Value)
		}
	}
	if size > maxHistoryBytes {
		t.Errorf("headers take %d bytes, want at most %d", size, maxHistoryBytes)
	}
	if text, _ := m.Header(HeaderErrorMessage); len(text) > maxErrorMessageBytes || len(text) < maxErrorMessageBytes-utf8.UTFMax {
		t.Errorf("the error message has %d bytes, want about %d", len(text), maxErrorMessageBytes)
	}
	history := History(m)
	if len(history) != maxHistory {
		t.Fatalf("got %d failures in the history, want %d", len(history), maxHistory)
	}
	for _, past := range history {
		if len(past.Message) > maxHistoryMessage || len(past.Code) > maxErrorCodeBytes {
			t.Errorf("history keeps a message of %d and a code of %d bytes", len(past.Message), len(past.Code))
		}
	}
}

func TestForwardBeginsAHistoryAnewThatItCannotRead(t *testing.T) {
	t.Parallel()
	for _, history := range []string{
		"", "null", "{}", "[", `[{"attempt":"one"}]`, `["x"]`, "[\"\xff\"]", "[" + strings.Repeat(" ", maxHistoryBytes) + "]",
	} {
		m := readMessage(HeaderAttemptHistory, history)
		got := Forward(m, ParseDelivery(m), Failure{Code: "c", Message: "m", At: appended})
		if past := History(&got); len(past) != 1 || past[0].Code != "c" {
			t.Errorf("after %.20q: got history %+v, want the one failure", history, past)
		}
	}
}

func TestOwnHeadersAreAllCounted(t *testing.T) {
	t.Parallel()
	d := Delivery{Origin: here, OriginTime: appended, Attempt: 1, ReplayID: "r", ReplayCount: 1, Truncated: new(int64)}
	got := Forward(&Message{}, d, Failure{Code: "c", Message: "m", At: appended, NotBefore: appended, Group: "g"})
	if len(got.Headers) != ownHeaders || cap(got.Headers) != ownHeaders {
		t.Errorf("got %d headers in room for %d, want %d", len(got.Headers), cap(got.Headers), ownHeaders)
	}
	for _, h := range got.Headers {
		if !isOwn(h.Key) {
			t.Errorf("header %s would be taken for a foreign one", h.Key)
		}
	}
}

func FuzzParseDelivery(f *testing.F) {
	f.Add("shop", "7", "9", "2026-11-22T00:00:00.000Z", "3", "2026-11-23T01:07:03.456Z", "r-1", "2", `[{"attempt":1,"at":"2026-11-23T01:02:04.456Z","code":"c","message":"m"}]`, "why")
	f.Add("", "-1", "99999999999999999999", "0000-01-01T00:00:00+01:00", "0", "9999-12-31T23:59:59Z", "\xff", "x", "[]", "\xff\n")
	f.Add("t", "2147483648", "0", "", "1001", "", "", "-0", `[{"at":"0000-01-01T00:00:00+23:59"}]`, "")
	f.Fuzz(func(t *testing.T, topic, partition, offset, at, attempt, due, replay, count, history, why string) {
		m := readMessage("a", why,
			HeaderOriginalTopic, topic, HeaderOriginalPartition, partition, HeaderOriginalOffset, offset,
			HeaderOriginalTimestamp, at, HeaderAttempt, attempt, HeaderNotBefore, due,
			HeaderFirstFailedAt, at, HeaderReplayID, replay, HeaderReplayCount, count, HeaderAttemptHistory, history)
		d := ParseDelivery(m)
		if d.Attempt < 1 || d.Attempt > MaxAttempt || d.ReplayCount < 0 || d.ReplayCount > MaxReplays ||
			d.Origin.Topic == "" || d.Origin.Partition < 0 || d.Origin.Offset < 0 || d.NotBefore.After(appended.Add(MaxDelay)) {
			t.Fatalf("got delivery %+v", d)
		}
		failure := Failure{Code: why, Message: why, At: appended, NotBefore: appended.Add(time.Second), Group: "g"}
		copied := hop(Forward(m, d, failure), "retry", appended)
		if value, _ := copied.Header("a"); string(value) != why {
			t.Errorf("foreign header %q became %q", why, value)
		}
		want := d
		want.Attempt, want.NotBefore = min(d.Attempt+1, MaxAttempt), failure.NotBefore
		want.OriginTime = d.OriginTime.Truncate(time.Millisecond)
		want.FirstFailedAt = d.FirstFailedAt.Truncate(time.Millisecond)
		if want.FirstFailedAt.IsZero() {
			want.FirstFailedAt = failure.At
		}
		if want.ReplayID == "" {
			want.ReplayCount = 0
		}
		if diff := cmp.Diff(want, ParseDelivery(copied)); diff != "" {
			t.Errorf("after one hop: %s", diff)
		}
		if past := History(copied); len(past) < 1 || len(past) > maxHistory {
			t.Errorf("got %d failures in the history of %q", len(past), history)
		}
	})
}

func BenchmarkParseDelivery(b *testing.B) {
	m := readMessage("ce_id", "e-1", "ce_type", "order.created", "traceparent", "00-1")
	b.ReportAllocs()
	for b.Loop() {
		if ParseDelivery(m).Attempt != 1 {
			b.Fatal(errors.New("wrong attempt"))
		}
	}
}
