package order

import (
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// Bounds of what is written about failures. Headers count towards the size of
// the message, and a copy must stay as acceptable to Kafka as its original.
const (
	// MaxForwardBytes is the largest copy that goes whole. Retry and dead-letter
	// topics are made to take 2 MiB; the 64 KiB below are for what the log itself
	// adds around a message, and more than enough for it. A larger copy would be
	// refused as often as it is sent, and hold up its partition for ever.
	MaxForwardBytes = 2<<20 - 64<<10

	// refusedBytes is what is left of a copy that the log refuses for its size,
	// whatever is said above: a topic may have been given a lower limit.
	refusedBytes = 64 << 10

	// Of what is left of a message the largest parts are for our headers (a
	// history of maxHistoryBytes, and the rest), for foreign ones, which are kept
	// together or not at all, and for the key, which for an order is short.
	ownHeaderBytes     = 16 << 10
	foreignHeaderBytes = 16 << 10
	keyBytes           = 1 << 10
	// headerOverhead is the most a header takes besides its key and value: their
	// two lengths. A million empty headers are not nothing.
	headerOverhead = 10

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
	if d.Truncated != nil {
		add(HeaderTruncated, strconv.FormatInt(*d.Truncated, 10))
	}
	return Message{Key: m.Key, Value: m.Value, Headers: headers}
}

// ownHeaders is how many headers Forward adds at most.
const ownHeaders = 15

// forwardPart is Forward for a message whose whole copy would be too large: the
// copy has the beginning of the value, at most limit bytes in all, and says that
// it is not whole. limit is at least refusedBytes.
func forwardPart(m *Message, d Delivery, f Failure, limit int) Message {
	part := Message{Key: m.Key[:min(len(m.Key), keyBytes)], Value: m.Value, Headers: m.Headers}
	if foreignBytes(m.Headers) > foreignHeaderBytes {
		part.Headers = slices.DeleteFunc(slices.Clone(m.Headers), func(h Header) bool { return !isOwn(h.Key) })
	}
	room := limit - ownHeaderBytes - len(part.Key) - foreignBytes(part.Headers)
	part.Value = m.Value[:min(len(m.Value), room)]
	if d.Truncated == nil { // else this is the beginning of a beginning
		whole := int64(len(m.Value))
		d.Truncated = &whole
	}
	return Forward(&part, d, f)
}

// size is at least what m takes in the log, but for what the log adds itself.
func (m *Message) size() int {
	n := len(m.Key) + len(m.Value)
	for i := range m.Headers {
		n += m.Headers[i].size()
	}
	return n
}

func (h *Header) size() int { return len(h.Key) + len(h.Value) + headerOverhead }

func foreignBytes(headers []Header) int {
	n := 0
	for i := range headers {
		if !isOwn(headers[i].Key) {
			n += headers[i].size()
		}
	}
	return n
}

func isOwn(key string) bool {
	switch key {
	case HeaderOriginalTopic, HeaderOriginalPartition, HeaderOriginalOffset, HeaderOriginalTimestamp,
		HeaderAttempt, HeaderNotBefore, HeaderFirstFailedAt, HeaderLastFailedAt,
		HeaderErrorCode, HeaderErrorMessage, HeaderAttemptHistory, HeaderConsumerGroup,
		HeaderReplayID, HeaderReplayCount, HeaderTruncated:
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
