package order

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// headersOf makes headers out of any bytes: a number says which name comes next,
// another how long its value is. Names are ours, somebody's, or such as look like
// ours.
func headersOf(text []byte) []Header {
	names := []string{
		HeaderOriginalTopic, HeaderOriginalPartition, HeaderOriginalOffset, HeaderOriginalTimestamp, HeaderAttempt, HeaderNotBefore,
		HeaderFirstFailedAt, HeaderLastFailedAt, HeaderErrorCode, HeaderErrorMessage, HeaderAttemptHistory, HeaderConsumerGroup,
		HeaderReplayID, HeaderReplayCount, HeaderTruncated, HeaderID, HeaderType, HeaderTime, "traceparent", "X-Attempt", "", "x-",
	}
	var headers []Header
	for len(text) >= 2 {
		name, size := names[int(text[0])%len(names)], min(int(text[1]), len(text)-2)
		headers = append(headers, Header{Key: name, Value: text[2 : 2+size]})
		text = text[2+size:]
	}
	return headers
}

// header is one header as headersOf reads it, for seeds.
func header(name byte, value string) string { return string([]byte{name, byte(len(value))}) + value }

// foreign are the headers that are not ours; nil for none, wherever they come from.
func foreign(headers []Header) []Header {
	var rest []Header
	for _, h := range headers {
		if !isOwn(h.Key) {
			rest = append(rest, h)
		}
	}
	return rest
}

// FuzzLetter holds that whatever comes out of the log can be dead-lettered, sent
// to a tier and replayed with all of its bytes, that a copy that is too large says
// how much is missing, and that the next reader understands what was written.
func FuzzLetter(f *testing.F) {
	f.Add([]byte("A-1"), []byte(`{"order_id":"A-1"}`), []byte(header(4, "3")+header(18, "00-1")+header(12, "r")+header(13, "2")), uint32(0))
	f.Add([]byte(nil), []byte{}, []byte(header(0, "t")+header(1, "9")+header(2, "9")+header(4, "999999999999999999999")), uint32(1<<20))
	f.Add([]byte("\xff"), []byte("{"), []byte(header(14, "-1")+header(14, "7")+header(10, "[{}]")+header(20, "")+header(19, "x")), uint32(1<<31))
	f.Fuzz(func(t *testing.T, key, value, headers []byte, pad uint32) {
		// Large values are made here: the mutator would be busy copying them.
		own, size := value, len(value)
		value = append(bytes.Clone(value), make([]byte, pad%(3<<20))...)
		m := &Message{Topic: "orders", Partition: 3, Offset: 17, Key: key, Value: value, Headers: headersOf(headers), Time: appended}
		d := ParseDelivery(m)
		why := Failure{Code: string(headers), Message: string(key), At: appended, Group: "g"}
		for what, copied := range map[string]Message{
			"a letter": Forward(m, d, why), "a retry": Forward(m, d, Failure{Code: "c", At: appended, Group: "g", NotBefore: appended.Add(time.Second)}),
			"a replay": Replay(m, d, "r-1", 2),
		} {
			checkWhole(t, what, m, &copied)
			checkUnderstood(t, what, d, &copied)
		}
		part := forwardPart(m, d, why, refusedBytes)
		if part.size() > refusedBytes {
			t.Errorf("a part of at most %d bytes has %d", refusedBytes, part.size())
		}
		if !bytes.HasPrefix(value, part.Value) || ParseDelivery(&part).Truncated == nil {
			t.Errorf("a part has %d other bytes, or does not say that it is one", len(part.Value))
		}
		if diff := cmp.Diff(headersOf(headers), m.Headers); diff != "" || !bytes.Equal(m.Value[:size], own) {
			t.Errorf("the message itself has changed:\n%s", diff)
		}
	})
}

func checkWhole(t *testing.T, what string, m, copied *Message) {
	t.Helper()
	if !bytes.Equal(copied.Key, m.Key) || !bytes.Equal(copied.Value, m.Value) || (copied.Key == nil) != (m.Key == nil) {
		t.Errorf("%s has key %q and %d bytes, not %q and %d", what, copied.Key, len(copied.Value), m.Key, len(m.Value))
	}
	if diff := cmp.Diff(foreign(m.Headers), foreign(copied.Headers)); diff != "" {
		t.Errorf("%s has other foreign headers:\n%s", what, diff)
	}
	seen := make(map[string]bool)
	for _, h := range copied.Headers {
		if isOwn(h.Key) && seen[h.Key] {
			t.Errorf("%s has header %s twice", what, h.Key)
		}
		seen[h.Key] = true
	}
}

// checkUnderstood holds that where an event comes from stays with it.
func checkUnderstood(t *testing.T, what string, d Delivery, copied *Message) {
	t.Helper()
	got := ParseDelivery(hop(*copied, "elsewhere", appended))
	if got.Origin != d.Origin || got.Attempt < 1 || got.Attempt > MaxAttempt {
		t.Errorf("%s comes from %+v at attempt %d, want %+v", what, got.Origin, got.Attempt, d.Origin)
	}
	if (got.Truncated == nil) != (d.Truncated == nil) || got.Truncated != nil && *got.Truncated != *d.Truncated {
		t.Errorf("%s forgets whether it is whole", what)
	}
	if got.ReplayCount < d.ReplayCount && d.ReplayID != "" {
		t.Errorf("%s was replayed %d times, before %d", what, got.ReplayCount, d.ReplayCount)
	}
}

// TestHeadersOfSeeds keeps the seeds above from reading as no headers at all.
func TestHeadersOfSeeds(t *testing.T) {
	t.Parallel()
	got := headersOf([]byte(header(4, "3") + header(18, "00-1")))
	want := []Header{{Key: HeaderAttempt, Value: []byte("3")}, {Key: "traceparent", Value: []byte("00-1")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if many := headersOf(binary.BigEndian.AppendUint64(nil, 0)); len(many) != 4 {
		t.Errorf("eight zeros are %d headers, want 4", len(many))
	}
}
