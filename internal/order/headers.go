package order

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"orderconsumer/internal/stock"
)

// Headers of every event and outcome: CloudEvents 1.0 in binary mode, and the
// trace that they belong to.
const (
	HeaderSpecVersion = "ce_specversion"
	HeaderID          = "ce_id"
	HeaderType        = "ce_type"
	HeaderSource      = "ce_source"
	HeaderTime        = "ce_time"
	HeaderContentType = "content-type"
	HeaderTraceParent = "traceparent"
)

// Headers that this program adds to an event that failed. They are its own: a
// copy carries each of them once, whatever the message it was made of carried.
const (
	HeaderOriginalTopic     = "x-original-topic"     // where the event was first read
	HeaderOriginalPartition = "x-original-partition" //
	HeaderOriginalOffset    = "x-original-offset"    //
	HeaderOriginalTimestamp = "x-original-timestamp" // when it was appended there
	HeaderAttempt           = "x-attempt"            // which attempt the next one is; for a dead letter, how many there were
	HeaderNotBefore         = "x-not-before"         // when that attempt is due
	HeaderFirstFailedAt     = "x-first-failed-at"
	HeaderLastFailedAt      = "x-last-failed-at"
	HeaderErrorCode         = "x-error-code"      // why the last attempt failed, as a stable word
	HeaderErrorMessage      = "x-error-message"   // and for a person
	HeaderAttemptHistory    = "x-attempt-history" // the last failures, a JSON array
	HeaderConsumerGroup     = "x-consumer-group"  // who failed
	HeaderReplayID          = "x-replay-id"       // which replay published the event again
	HeaderReplayCount       = "x-replay-count"    // and how often that has been done
	HeaderTruncated         = "x-truncated"       // the copy is not whole: how many bytes the value had
)

// TimeFormat is how headers and outcomes write a time, which must be UTC: RFC
// 3339 with milliseconds, the precision that Kafka and the database keep.
const TimeFormat = "2006-01-02T15:04:05.000Z07:00"

// Bounds of what headers may say. Anybody who may write to a topic can forge
// them, so none of them may hold up the partition or fill memory.
const (
	// MaxDelay is how long after it was appended a message can be due at most:
	// longer than any tier, short enough that a forged header parks a tier for a
	// day at worst.
	MaxDelay = 24 * time.Hour
	// MaxAttempt is where the count of attempts stops.
	MaxAttempt = 1000
	// MaxReplays is where the count of replays stops; replays are refused long
	// before.
	MaxReplays = 1000

	maxTopicBytes    = 249 // Kafka's own limit
	maxReplayIDBytes = 128
)

// Delivery is what the headers of a message say about its way so far.
type Delivery struct {
	// Origin is where the event was first read, and OriginTime when it was
	// appended there.
	Origin     stock.Origin
	OriginTime time.Time
	// Attempt says which attempt this delivery is, 1..MaxAttempt.
	Attempt int
	// NotBefore is when the attempt is due; zero for at once. It is at most
	// MaxDelay after the message was appended.
	NotBefore time.Time
	// FirstFailedAt is zero for an event that has not failed.
	FirstFailedAt time.Time
	// ReplayID names the replay that published the event again, ReplayCount
	// says how often that was done, 0..MaxReplays.
	ReplayID    string
	ReplayCount int
	// Truncated is nil for a message that is whole. Of one that was too large
	// to be copied it is how many bytes the value had.
	Truncated *int64
}

// ParseDelivery reads the headers of a message. It cannot fail: a header that
// makes no sense counts as absent, and a message without our headers is at its
// first attempt and comes from where it was read.
func ParseDelivery(m *Message) Delivery {
	d := Delivery{
		Origin:     stock.Origin{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset},
		OriginTime: m.Time,
		Attempt:    1,
	}
	var origin stock.Origin
	var originTime time.Time
	var hasTopic, hasPartition, hasOffset bool
	for i := range m.Headers { // the last one of a name wins, as in Message.Header
		value := m.Headers[i].Value
		switch m.Headers[i].Key {
		case HeaderOriginalTopic:
			origin.Topic, hasTopic = idOf(value, maxTopicBytes)
		case HeaderOriginalPartition:
			var n int64
			n, hasPartition = countOf(value, 1<<31-1)
			origin.Partition = int(n)
		case HeaderOriginalOffset:
			origin.Offset, hasOffset = countOf(value, 1<<63-1)
		case HeaderOriginalTimestamp:
			originTime, _ = timeOf(value)
		case HeaderAttempt:
			n, _ := countOf(value, MaxAttempt)
			d.Attempt = max(int(n), 1)
		case HeaderNotBefore:
			d.NotBefore = dueOf(value, m.Time)
		case HeaderFirstFailedAt:
			d.FirstFailedAt, _ = timeOf(value)
		case HeaderReplayID:
			d.ReplayID, _ = idOf(value, maxReplayIDBytes)
		case HeaderReplayCount:
			n, _ := countOf(value, MaxReplays)
			d.ReplayCount = int(n)
		case HeaderTruncated:
			d.Truncated = nil
			if n, ok := countOf(value, 1<<63-1); ok {
				d.Truncated = &n
			}
		}
	}
	// All of the place or nothing: half of it would point to another message.
	if hasTopic && hasPartition && hasOffset {
		d.Origin = origin
		if !originTime.IsZero() {
			d.OriginTime = originTime
		}
	}
	return d
}

// dueOf reads when a message that was appended at appended is due.
func dueOf(value []byte, appended time.Time) time.Time {
	due, ok := timeOf(value)
	if !ok || appended.IsZero() {
		return time.Time{}
	}
	if latest := appended.UTC().Add(MaxDelay); due.After(latest) {
		return latest
	}
	return due
}

// countOf reads 0..limit; a larger number counts as limit.
func countOf(value []byte, limit int64) (int64, bool) {
	if !allDigits(value) {
		return 0, false
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n > limit {
		return limit, true
	}
	return n, true
}

// idOf reads a name of at most limit bytes.
func idOf(value []byte, limit int) (string, bool) {
	if len(value) == 0 || len(value) > limit || hasControl(value) || !utf8.Valid(value) {
		return "", false
	}
	return string(value), true
}

// clip makes text fit for headers and log lines: valid UTF-8, no control
// characters, at most limit bytes, cut between two characters.
func clip(text string, limit int) string {
	text = strings.ToValidUTF8(text[:min(len(text), clipAhead*limit)], string(utf8.RuneError))
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// clipAhead keeps clip from working through megabytes of which it returns a
// line. Text can become shorter by making it valid, but never that much.
const clipAhead = 4
