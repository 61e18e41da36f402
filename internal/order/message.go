package order

import (
	"slices"
	"time"
)

// Header is one header of a message. Foreign headers travel byte for byte.
type Header struct {
	Key   string
	Value []byte
}

// Message is one record of the log, byte for byte as it was read or as it is
// to be written. Topic, Partition and Offset are where it was read from; a
// message to be written carries only Topic.
type Message struct {
	Topic     string
	Partition int
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   []Header
	Time      time.Time // when it was appended, by the log's clock
}

// Header returns the value of the last header named key; ok is false when
// there is none. The last one wins because appending is how headers are
// overridden on the way through retry topics.
func (m *Message) Header(key string) (value []byte, ok bool) {
	for _, h := range slices.Backward(m.Headers) {
		if h.Key == key {
			return h.Value, true
		}
	}
	return nil, false
}
