package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"

	"orderconsumer/internal/order"
)

const (
	// publishBytes bounds one set of records: what one request has for one
	// partition. Brokers hold their max.message.bytes (1 MiB unless told otherwise)
	// against the whole set, so a larger one is refused with every message in it.
	publishBytes = 900 << 10
	// publishAlone is the size from which a message goes in a set of its own, and
	// aloneBytes the most such a set may have: more than the largest message that
	// may be read plus the headers a dead letter adds, or a message that fitted the
	// input could not be dead-lettered.
	publishAlone = publishBytes / 2
	aloneBytes   = 4 << 20
	// requestBytes bounds all sets of one request together, but for one that is larger alone:
	// what is in memory twice while it is sent, and what a slow link has to carry
	// before publishTimeout is over.
	requestBytes = 1 << 20
	// recordBytes and headerBytes are the most that a record and a header take
	// beside what stands in them: their lengths, and the record's time and number.
	recordBytes = 32
	headerBytes = 8
)

// set is what one request has for one partition: the first records of its lane.
type set struct {
	lane  *lane
	n     int
	bytes int
}

// send sends what the lanes of one broker have, in requests of at most so many bytes,
// or of one set. Of each lane one set is under way at a time, and behind one that was
// refused comes no other: the next try would append it behind those.
func (c *Client) send(ctx context.Context, lanes []*lane, most int) {
	for {
		sets := nextSets(lanes, most)
		if len(sets) == 0 {
			return
		}
		res, err := c.produce(ctx, sets)
		if err != nil {
			// What is left would have to wait as long.
			for _, l := range lanes {
				if l.open() {
					l.stop(err, true)
				}
			}
			return
		}
		for _, s := range sets {
			s.settle(res)
		}
	}
}

// nextSets are those of the next request.
func nextSets(lanes []*lane, room int) []set {
	sets := make([]set, 0, len(lanes))
	for _, l := range lanes {
		n, bytes := l.next()
		if n == 0 {
			continue
		}
		if bytes > room && len(sets) > 0 {
			break
		}
		sets, room = append(sets, set{lane: l, n: n, bytes: bytes}), room-bytes
	}
	return sets
}

// produce sends one request. Nothing of it is used again: the connection reads it
// in its own time, and goes on doing so when ctx has ended.
func (c *Client) produce(ctx context.Context, sets []set) (*produce.Response, error) {
	req := &produce.Request{
		// The zero value is RequireNone, which confirms what no broker has seen:
		// a dead letter that is acknowledged and lost.
		Acks:    int16(kafkago.RequireAll),
		Timeout: int32(replicasTimeout.Milliseconds()),
	}
	readers := make([]recordReader, len(sets))
	for i, s := range sets {
		readers[i].records = s.lane.records[:s.n]
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != s.lane.topic {
			req.Topics = append(req.Topics, produce.RequestTopic{
				Topic: s.lane.topic, Partitions: make([]produce.RequestPartition, 0, len(sets)-i),
			})
		}
		topic := &req.Topics[len(req.Topics)-1]
		topic.Partitions = append(topic.Partitions, produce.RequestPartition{
			Partition: s.lane.partition, RecordSet: protocol.RecordSet{Records: &readers[i]},
		})
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer c.watchLeader(ctx, partitionsOf(sets), end)()
	answer, err := c.transport.RoundTrip(ctx, c.admin.Addr, req)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errDeposed) {
		err = cause
	}
	if err != nil {
		return nil, fmt.Errorf("ask broker %d: %w", sets[0].lane.leader, err)
	}
	res, ok := answer.(*produce.Response)
	if !ok {
		return nil, fmt.Errorf("ask broker %d: the answer is a %T", sets[0].lane.leader, answer)
	}
	return res, nil
}

// partitionsOf are those that the sets are for, by topic.
func partitionsOf(sets []set) map[string][]int {
	partitions := make(map[string][]int, 1)
	for _, s := range sets {
		partitions[s.lane.topic] = append(partitions[s.lane.topic], int(s.lane.partition))
	}
	return partitions
}

// settle notes what the broker says about the set.
func (s set) settle(res *produce.Response) {
	code, text, ok := answerFor(res, s.lane.topic, s.lane.partition)
	if !ok {
		s.lane.stop(errUnanswered, true)
		return
	}
	if code == 0 {
		s.lane.records = s.lane.records[s.n:]
		return
	}
	err := error(kafkago.Error(code))
	if tooLarge(err) && s.n > 1 {
		s.lane.limit = s.bytes / 2 // the topic takes less than others, or one of them is too large: it will show
		return
	}
	if text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	s.lane.refuse(err)
}

// answerFor finds what an answer says about a partition.
func answerFor(res *produce.Response, topic string, partition int32) (code int16, text string, ok bool) {
	for i := range res.Topics {
		if res.Topics[i].Topic != topic {
			continue
		}
		for k := range res.Topics[i].Partitions {
			if p := &res.Topics[i].Partitions[k]; p.Partition == partition {
				return p.ErrorCode, p.ErrorMessage, true
			}
		}
	}
	return 0, "", false
}

// record is what is appended of a message.
type record struct {
	at      int // the message's place among those of its try
	key     []byte
	value   []byte
	headers []order.Header
}

// size is the most that the record takes in a set.
func (r *record) size() int {
	n := recordBytes + len(r.key) + len(r.value)
	for i := range r.headers {
		n += headerBytes + len(r.headers[i].Key) + len(r.headers[i].Value)
	}
	return n
}

// recordReader hands records to the client one at a time, all in the same memory.
// They have no time: the client sets that at which it writes them.
type recordReader struct {
	records    []record
	record     protocol.Record
	key, value payload
	headers    []protocol.Header
}

// ReadRecord implements protocol.RecordReader.
func (r *recordReader) ReadRecord() (*protocol.Record, error) {
	if len(r.records) == 0 {
		return nil, io.EOF
	}
	next := &r.records[0]
	r.records = r.records[1:]
	r.headers = r.headers[:0]
	for _, h := range next.headers {
		r.headers = append(r.headers, protocol.Header(h))
	}
	r.record = protocol.Record{Key: r.key.of(next.key), Value: r.value.of(next.value), Headers: r.headers}
	return &r.record, nil
}

// payload is a key or a value that is read.
type payload struct{ bytes.Reader }

// Close implements protocol.Bytes.
func (*payload) Close() error { return nil }

// of is nil where there is none, which is not the same as one of no bytes.
func (p *payload) of(b []byte) protocol.Bytes {
	if b == nil {
		return nil
	}
	p.Reset(b)
	return p
}
