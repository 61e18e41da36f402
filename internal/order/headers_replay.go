package order

import "strconv"

// Replay is the copy of a message that is published again, by the replay of that
// id: key, value and foreign headers byte for byte and in their order, our own
// headers written anew. Where the event comes from and what it has been through
// stays with it, and so does that it is only the beginning of one; that it was to
// wait, or had become a dead letter, does not.
//
// attempt is which attempt the next one is: 1 in the input topic, one more for
// each tier. A tier hands on what fails by that number, so that nothing ever goes
// back to a topic it has been through. The caller sets the Topic of the copy,
// which shares the bytes of m.
func Replay(m *Message, d Delivery, id string, attempt int) Message {
	headers := make([]Header, 0, len(m.Headers)+ownHeaders)
	for _, h := range m.Headers {
		if !isOwn(h.Key) {
			headers = append(headers, h)
		}
	}
	// Of several, the one that counts.
	if history, ok := m.Header(HeaderAttemptHistory); ok {
		headers = append(headers, Header{Key: HeaderAttemptHistory, Value: history})
	}
	add := func(key, value string) {
		headers = append(headers, Header{Key: key, Value: []byte(value)})
	}
	add(HeaderOriginalTopic, d.Origin.Topic)
	add(HeaderOriginalPartition, strconv.Itoa(d.Origin.Partition))
	add(HeaderOriginalOffset, strconv.FormatInt(d.Origin.Offset, 10))
	if !d.OriginTime.IsZero() {
		add(HeaderOriginalTimestamp, d.OriginTime.UTC().Format(TimeFormat))
	}
	add(HeaderAttempt, strconv.Itoa(attempt))
	if !d.FirstFailedAt.IsZero() {
		add(HeaderFirstFailedAt, d.FirstFailedAt.UTC().Format(TimeFormat))
	}
	add(HeaderReplayID, id)
	add(HeaderReplayCount, strconv.Itoa(d.ReplayCount+1))
	if d.Truncated != nil {
		add(HeaderTruncated, strconv.FormatInt(*d.Truncated, 10))
	}
	return Message{Key: m.Key, Value: m.Value, Headers: headers}
}

// AttemptIn is which attempt an event is at that is published to a topic: 1 in
// the input topic and in any that is not the group's, one more for each tier.
func (t Topics) AttemptIn(topic string) int {
	for i, tier := range t.Tiers {
		if tier.Topic == topic {
			return i + 2
		}
	}
	return 1
}
