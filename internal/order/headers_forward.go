package order

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// Bounds of what is written about failures. Headers count towards the size of
// the message, and a copy must stay as acceptable to Kafka as its original.
const (
	maxErrorCodeBytes    = 64
	maxErrorMessageBytes = 500
	maxHistory           = 10      // failures kept; more than there are tiers by far
	maxHistoryMessage    = 120     // bytes of each failure's message
	maxHistoryBytes      = 8 << 10 // ten failures take less than half of it
)

// Failure is what went wrong with one attempt.
type Failure struct {
	Code    string // a short stable word
	Message string // for a person
	At      time.Time
	Group   string // the consumer group that failed
	// NotBefore is when the next attempt is due; zero when there is none,
	// because the message becomes a dead letter.
	NotBefore time.Time
}

// PastFailure is a Failure as a message remembers it.
type PastFailure struct {
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
}

// Forward is the copy of a message that goes to a retry topic or to the dead
// letters because of f: key, value and foreign headers byte for byte and in
// their order, our own headers written anew. The caller sets its Topic. The
// copy shares the bytes of m.
func Forward(m *Message, d Delivery, f Failure) Message {
	headers := make([]Header, 0, len(m.Headers)+ownHeaders)
	for _, h := range m.Headers {
		if !isOwn(h.Key) {
			headers = append(headers, h)
		}
	}
	add := func(key, value string) {
		headers = append(headers, Header{Key: key, Value: []byte(value)})
	}
	addTime := func(key string, t time.Time) {
		if !t.IsZero() {
			add(key, t.UTC().Format(TimeFormat))
		}
	}
	add(HeaderOriginalTopic, d.Origin.Topic)
	add(HeaderOriginalPartition, strconv.Itoa(d.Origin.Partition))
	add(HeaderOriginalOffset, strconv.FormatInt(d.Origin.Offset, 10))
	addTime(HeaderOriginalTimestamp, d.OriginTime)
	if f.NotBefore.IsZero() {
		add(HeaderAttempt, strconv.Itoa(d.Attempt))
	} else {
		add(HeaderAttempt, strconv.Itoa(d.Attempt+1))
		addTime(HeaderNotBefore, f.NotBefore)
	}
	first := d.FirstFailedAt
	if first.IsZero() {
		first = f.At
	}
	addTime(HeaderFirstFailedAt, first)
	addTime(HeaderLastFailedAt, f.At)
	add(HeaderErrorCode, clip(f.Code, maxErrorCodeBytes))
	add(HeaderErrorMessage, clip(f.Message, maxErrorMessageBytes))
	add(HeaderAttemptHistory, string(appendHistory(nil, append(History(m), PastFailure{
		Attempt: d.Attempt, At: f.At, Code: f.Code, Message: f.Message,
	}))))
	add(HeaderConsumerGroup, f.Group)
	if d.ReplayID != "" {
		add(HeaderReplayID, d.ReplayID)
		add(HeaderReplayCount, strconv.Itoa(d.ReplayCount))
	}
	return Message{Key: m.Key, Value: m.Value, Headers: headers}
}

// ownHeaders is how many headers Forward adds at most.
const ownHeaders = 14

func isOwn(key string) bool {
	switch key {
	case HeaderOriginalTopic, HeaderOriginalPartition, HeaderOriginalOffset, HeaderOriginalTimestamp,
		HeaderAttempt, HeaderNotBefore, HeaderFirstFailedAt, HeaderLastFailedAt,
		HeaderErrorCode, HeaderErrorMessage, HeaderAttemptHistory, HeaderConsumerGroup,
		HeaderReplayID, HeaderReplayCount:
		return true
	default:
		return false
	}
}

// History is what a message remembers of its failures, the oldest first. A
// header that makes no sense counts as absent.
func History(m *Message) []PastFailure {
	value, ok := m.Header(HeaderAttemptHistory)
	if !ok || len(value) > maxHistoryBytes {
		return nil
	}
	var history []PastFailure
	if err := json.Unmarshal(value, &history); err != nil {
		return nil
	}
	for i := range history {
		if history[i].At = history[i].At.UTC(); !writable(history[i].At) {
			return nil
		}
	}
	return history
}

// appendHistory writes the last failures as one JSON array.
func appendHistory(dst []byte, history []PastFailure) []byte {
	history = history[max(0, len(history)-maxHistory):]
	dst = append(dst, '[')
	for i, past := range history {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"attempt":`...), int64(past.Attempt), 10)
		dst = appendTime(append(dst, `,"at":`...), past.At)
		dst = appendQuoted(append(dst, `,"code":`...), clip(past.Code, maxErrorCodeBytes))
		dst = appendQuoted(append(dst, `,"message":`...), clip(past.Message, maxHistoryMessage))
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
