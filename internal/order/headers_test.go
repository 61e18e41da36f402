package order

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/stock"
)

var appended = time.Date(2026, 11, 23, 1, 2, 3, 456e6, time.UTC)

// readMessage is one read from orders/3/1042, with headers given as key, value,
// key, value.
func readMessage(headers ...string) *Message {
	m := &Message{Topic: "orders", Partition: 3, Offset: 1042, Key: []byte("A-1"), Value: []byte("{}"), Time: appended}
	for i := 0; i+1 < len(headers); i += 2 {
		m.Headers = append(m.Headers, Header{Key: headers[i], Value: []byte(headers[i+1])})
	}
	return m
}

var (
	here      = stock.Origin{Topic: "orders", Partition: 3, Offset: 1042}
	elsewhere = stock.Origin{Topic: "shop", Partition: 7, Offset: 9}
)

func TestParseDeliveryReadsWhatForwardWrote(t *testing.T) {
	t.Parallel()
	got := ParseDelivery(readMessage(
		HeaderOriginalTopic, "shop", HeaderOriginalPartition, "7", HeaderOriginalOffset, "9",
		HeaderOriginalTimestamp, "2026-11-22T00:00:00.000Z", HeaderAttempt, "3",
		HeaderNotBefore, "2026-11-23T01:07:03.456Z", HeaderFirstFailedAt, "2026-11-22T00:00:01.000Z",
		HeaderReplayID, "r-1", HeaderReplayCount, "2",
	))
	want := Delivery{
		Origin:        elsewhere,
		OriginTime:    time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
		Attempt:       3,
		NotBefore:     appended.Add(5 * time.Minute),
		FirstFailedAt: time.Date(2026, 11, 22, 0, 0, 1, 0, time.UTC),
		ReplayID:      "r-1",
		ReplayCount:   2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseDeliveryTakesHeadersThatMakeNoSenseForAbsent(t *testing.T) {
	t.Parallel()
	bare := Delivery{Origin: here, OriginTime: appended, Attempt: 1}
	with := func(change func(*Delivery)) Delivery {
		d := bare
		change(&d)
		return d
	}
	for _, c := range []struct {
		name    string
		headers []string
		want    Delivery
	}{
		{"no headers", nil, bare},
		{"foreign headers", []string{"traceparent", "00-1", "x-other", "7"}, bare},
		{"half an origin", []string{HeaderOriginalTopic, "shop", HeaderOriginalOffset, "9"}, bare},
		{"a negative offset", []string{HeaderOriginalTopic, "shop", HeaderOriginalPartition, "7", HeaderOriginalOffset, "-9"}, bare},
		{"an empty topic", []string{HeaderOriginalTopic, "", HeaderOriginalPartition, "7", HeaderOriginalOffset, "9"}, bare},
		{"a topic longer than any", []string{HeaderOriginalTopic, strings.Repeat("t", 250), HeaderOriginalPartition, "7", HeaderOriginalOffset, "9"}, bare},
		{"a timestamp without an origin", []string{HeaderOriginalTimestamp, "2026-11-22T00:00:00.000Z"}, bare},
		{"an origin without timestamp", []string{HeaderOriginalTopic, "shop", HeaderOriginalPartition, "7", HeaderOriginalOffset, "9"},
			with(func(d *Delivery) { d.Origin = elsewhere })},
		{"attempt zero", []string{HeaderAttempt, "0"}, bare},
		{"a negative attempt", []string{HeaderAttempt, "-3"}, bare},
		{"an attempt in words", []string{HeaderAttempt, "three"}, bare},
		{"an empty attempt", []string{HeaderAttempt, ""}, bare},
		{"more attempts than can be", []string{HeaderAttempt, "99999999999999999999999"}, with(func(d *Delivery) { d.Attempt = MaxAttempt })},
		{"the last of two attempts", []string{HeaderAttempt, "2", HeaderAttempt, "4"}, with(func(d *Delivery) { d.Attempt = 4 })},
		{"due in words", []string{HeaderNotBefore, "later"}, bare},
		{"due in the past", []string{HeaderNotBefore, "2026-01-01T00:00:00.000Z"},
			with(func(d *Delivery) { d.NotBefore = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) })},
		{"due in a thousand years", []string{HeaderNotBefore, "3026-01-01T00:00:00.000Z"},
			with(func(d *Delivery) { d.NotBefore = appended.Add(MaxDelay) })},
		{"a replay id with a line break", []string{HeaderReplayID, "r\n1"}, bare},
		{"a replay id of broken UTF-8", []string{HeaderReplayID, "r\xff"}, bare},
		{"a negative replay count", []string{HeaderReplayCount, "-1"}, bare},
		{"more replays than can be", []string{HeaderReplayCount, "2000"}, with(func(d *Delivery) { d.ReplayCount = MaxReplays })},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, ParseDelivery(readMessage(c.headers...))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Without the log's clock there is nothing to bound a forged time by.
func TestParseDeliveryOfAMessageWithoutTimeIsDueAtOnce(t *testing.T) {
	t.Parallel()
	m := readMessage(HeaderNotBefore, "3026-01-01T00:00:00.000Z")
	m.Time = time.Time{}
	if got := ParseDelivery(m).NotBefore; !got.IsZero() {
		t.Errorf("got %v, want it due at once", got)
	}
}

func TestClipCutsBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"short", 10, "short"},
		{"exactly", 7, "exactly"},
		{"too long", 3, "too"},
		{"\u8ba2\u5355", 5, "\u8ba2"},
		{"\u8ba2\u5355", 2, ""},
		{"a\nb\x00c\x7f", 10, "a b c "},
		{"a\xff\xfeb", 10, "a\ufffdb"},
		{strings.Repeat("\x80", 1000), 3, "\ufffd"},
	} {
		got := clip(c.text, c.limit)
		if got != c.want {
			t.Errorf("clip(%q, %d) = %q, want %q", c.text, c.limit, got, c.want)
		}
		if !utf8.ValidString(got) || len(got) > c.limit {
			t.Errorf("clip(%q, %d) = %q is no text of %d bytes", c.text, c.limit, got, c.limit)
		}
	}
}
