package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// batchHead is what a batch says about itself: the offsets that it stands for, of
// which compaction may have left a part or none, and how many records it has.
type batchHead struct {
	first, last int64
	records     int
}

// head asks for the head of the batch in which next is, or of the first one behind
// it. The client tells the records of a batch, and nothing of this.
func (c *Client) head(ctx context.Context, r Range, next int64) (batchHead, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.transport.RoundTrip(ctx, c.admin.Addr, &headRequest{clientID: c.cfg.ClientID, Request: fetch.Request{
		ReplicaID: -1, MaxWaitTime: int32(scanWait.Milliseconds()), MinBytes: 1, MaxBytes: 1, // one batch always comes whole
		Topics: []fetch.RequestTopic{{Topic: r.Topic, Partitions: []fetch.RequestPartition{{
			Partition: int32(r.Partition), FetchOffset: next, PartitionMaxBytes: 1, //nolint:gosec // a partition's number
		}}}},
	}})
	if err != nil {
		return batchHead{}, fmt.Errorf("ask for the head of a batch: %w", err)
	}
	found, ok := answer.(*headResponse)
	if !ok {
		return batchHead{}, fmt.Errorf("ask for the head of a batch: answered with a %T", answer)
	}
	return found.batchHead, nil
}

// headVersion is the oldest version of the question that brokers still answer.
const headVersion = 4

// headRequest is a question for messages of which only the head of the first batch
// is read. The client lets such a request write and read for itself.
type headRequest struct {
	fetch.Request

	clientID string
}

// headResponse is its answer.
type headResponse struct{ batchHead }

// ApiKey is that of the question.
func (*headResponse) ApiKey() protocol.ApiKey { return protocol.Fetch }

// Required is true: the client's own way of reading leaves out what is asked for.
func (*headRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange asks over a connection that nobody else uses meanwhile. After an error
// the client closes that.
func (q *headRequest) RawExchange(conn io.ReadWriter) (protocol.Message, error) {
	const correlation = 1 // one question, one answer
	err := protocol.WriteRequest(conn, headVersion, correlation, q.clientID, &q.Request)
	if err != nil {
		return nil, err
	}
	var size int32
	err = binary.Read(conn, binary.BigEndian, &size)
	if err != nil {
		return nil, err
	}
	answer := io.LimitReader(conn, int64(size))
	found, err := readHead(answer, correlation)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, answer) // the connection is used again
	return &headResponse{found}, err
}

const (
	abortedBytes = 16 // one aborted transaction of the answer
	batchMagic   = 2  // the format that has heads like this; older ones have no batches
)

// errNoHead: an answer in which no batch is.
var errNoHead = errors.New("an answer without a batch")

// readHead reads an answer of headVersion up to the head of its first batch.
func readHead(answer io.Reader, correlation int32) (batchHead, error) {
	var front struct {
		Correlation, Throttle, Topics int32
		Name                          int16
	}
	var part struct {
		Partitions, Partition int32
		Error                 int16
		End, Stable           int64
		Aborted               int32
	}
	var batch struct {
		Size                         int32
		First                        int64
		Length, Epoch                int32
		Magic                        int8
		Sum                          uint32
		Attributes                   int16
		Last                         int32 // counted from the first
		FirstTime, MaxTime, Producer int64
		ProducerEpoch                int16
		Sequence, Records            int32
	}
	err := binary.Read(answer, binary.BigEndian, &front)
	switch {
	case err != nil:
		return batchHead{}, err
	case front.Correlation != correlation || front.Topics != 1:
		return batchHead{}, fmt.Errorf("%w: number %d, %d topics", errNoHead, front.Correlation, front.Topics)
	}
	if _, err = io.CopyN(io.Discard, answer, int64(front.Name)); err == nil {
		err = binary.Read(answer, binary.BigEndian, &part)
	}
	switch {
	case err != nil:
		return batchHead{}, err
	case part.Partitions != 1:
		return batchHead{}, fmt.Errorf("%w: %d partitions", errNoHead, part.Partitions)
	case part.Error != 0:
		return batchHead{}, kafkago.Error(part.Error)
	}
	if _, err = io.CopyN(io.Discard, answer, abortedBytes*max(0, int64(part.Aborted))); err == nil {
		err = binary.Read(answer, binary.BigEndian, &batch)
	}
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return batchHead{}, fmt.Errorf("%w: %w", errNoHead, err)
	case err != nil:
		return batchHead{}, err
	case batch.Magic != batchMagic:
		return batchHead{}, fmt.Errorf("%w: format %d of messages", errNoHead, batch.Magic)
	}
	return batchHead{first: batch.First, last: batch.First + int64(batch.Last), records: int(batch.Records)}, nil
}
