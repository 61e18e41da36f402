package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/order"
)

// portion is what one answer has for one partition: whole batches of records.
type portion struct{ batches []byte }

const (
	// batchFrame is a batch's first offset and its length, which counts what follows.
	batchFrame = 12
	// batchEpoch is where a batch says in which epoch its leader appended it.
	batchEpoch = 12
	// batchFormat is where a batch says in which format it is, and batchMagic the format of
	// all batches that Kafka 0.11 and later write.
	batchFormat = 16
	batchMagic  = 2
	// batchSummed is where the part of a batch begins that its sum is of.
	batchSummed = 21
	// batchUnpacked is the most that the records of one batch may have unpacked. Brokers
	// take a batch for its packed size, of 1 MiB as a rule; a hundredfold of that is
	// no order.
	batchUnpacked = 128 << 20

	packedBits    = 0x07 // how a batch's records are packed
	appendTimeBit = 0x08 // the time of all of them is that at which the broker appended them
)

// errGarbled: what came cannot be decoded.
var errGarbled = errors.New("it cannot be decoded")

// whole is how many bytes of batches are of whole ones: brokers cut off what is too much.
func whole(batches []byte) (n int) {
	for len(batches)-n >= batchFrame {
		length := int64(int32(binary.BigEndian.Uint32(batches[n+batchFrame-4:]))) //nolint:gosec // Kafka's sizes have a sign
		if length < batchSummed-batchFrame || length > answerMost {
			return len(batches) // garbled: who decodes it will say so
		}
		size := batchFrame + int(length)
		if len(batches)-n < size {
			return n
		}
		n += size
	}
	return n
}

// intake is where what is read from a range goes.
type intake struct {
	// visit takes a message; its error ends the reading.
	visit func(order.Message) error
	// missing is told of offsets [from, to) that the log has no messages at: a hole
	// that it may have, or what retention has taken. Its error ends the reading.
	missing func(ctx context.Context, from, to int64) error
}

// visit visits the messages of the range from an offset on, in order, and returns where to
// go on. An error that is no errGarbled is the intake's.
func (p portion) visit(ctx context.Context, r Range, from int64, in intake) (next int64, err error) {
	next = from
	for left := p.batches; len(left) > 0 && next < r.To; {
		b, size, err := readBatch(left)
		if err != nil {
			return next, fmt.Errorf("%w: offset %d or behind it: %w", errGarbled, next, err)
		}
		left = left[size:]
		if b.last() < next {
			continue
		}
		next, err = b.visit(ctx, r, next, in)
		if err != nil {
			return next, err
		}
	}
	if next == from {
		return next, fmt.Errorf("%w: what came ends before offset %d", errGarbled, next)
	}
	return next, nil
}

// epochBefore is the epoch in which the last of what stands before an offset was appended;
// read is that of what was read before the portion.
func (p portion) epochBefore(next int64, read int32) int32 {
	for left := p.batches; len(left) > batchSummed; {
		first, length := int64(binary.BigEndian.Uint64(left)), int64(int32(binary.BigEndian.Uint32(left[batchFrame-4:]))) //nolint:gosec // Kafka's numbers have a sign
		if first >= next || length < batchSummed-batchFrame || length > int64(len(left)-batchFrame) {
			break
		}
		read = int32(binary.BigEndian.Uint32(left[batchEpoch:])) //nolint:gosec // Kafka's number has a sign
		left = left[batchFrame+int(length):]
	}
	return read
}

// batch is one batch of records.
type batch struct {
	kmsg.RecordBatch

	records []byte // unpacked
}

// last is the last offset that the batch stands for. Compaction may have left a part of
// the messages or none.
func (b *batch) last() int64 { return b.FirstOffset + int64(b.LastOffsetDelta) }

// readBatch reads the first batch, and says how many bytes it has.
func readBatch(from []byte) (b *batch, size int, err error) {
	if len(from) <= batchSummed {
		return nil, 0, fmt.Errorf("%d bytes are no batch", len(from))
	}
	if format := from[batchFormat]; format != batchMagic {
		return nil, 0, fmt.Errorf("a batch in format %d: only %d is known, that of Kafka 0.11 and later", format, batchMagic)
	}
	length := int64(int32(binary.BigEndian.Uint32(from[batchFrame-4:]))) //nolint:gosec // Kafka's sizes have a sign
	if length <= batchSummed-batchFrame || length > int64(len(from)-batchFrame) {
		return nil, 0, fmt.Errorf("a batch of %d bytes, of which %d have come", length, len(from)-batchFrame)
	}
	size = batchFrame + int(length)
	b = new(batch)
	if err := b.ReadFrom(from[:size]); err != nil {
		return nil, 0, fmt.Errorf("the head of a batch: %w", err)
	}
	if sum := crc32.Checksum(from[batchSummed:size], castagnoli); sum != uint32(b.CRC) { //nolint:gosec // a sum has no sign
		return nil, 0, fmt.Errorf("%w: the sum of its bytes is %08x, not %08x", b.unfit(), sum, uint32(b.CRC)) //nolint:gosec // a sum has no sign
	}
	if b.LastOffsetDelta < 0 || b.NumRecords < 0 {
		return nil, 0, fmt.Errorf("%w: it has %d records", b.unfit(), b.NumRecords)
	}
	return b, size, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// unfit names the batch in an error.
func (b *batch) unfit() error {
	return fmt.Errorf("the batch of offsets %d to %d", b.FirstOffset, b.last())
}

// visit is portion's, for one batch, which ends at next or behind it.
func (b *batch) visit(ctx context.Context, r Range, next int64, in intake) (int64, error) {
	err := b.unpack()
	var record kmsg.Record
	for n := 0; err == nil && n < int(b.NumRecords); n++ {
		var m order.Message
		m, err = b.next(&record, r)
		if err != nil {
			err = fmt.Errorf("%w has %d records, of which %d could be decoded: %w", b.unfit(), b.NumRecords, n, err)
			break
		}
		if m.Offset < next {
			continue // a batch comes whole
		}
		next, err = in.skip(ctx, next, min(m.Offset, r.To))
		if err != nil || next >= r.To {
			return next, err
		}
		if err := in.visit(m); err != nil {
			return next, err
		}
		next = m.Offset + 1
	}
	if err != nil {
		return next, fmt.Errorf("%w: offset %d: %w", errGarbled, next, err)
	}
	return in.skip(ctx, next, min(b.last()+1, r.To))
}

// skip goes on at to, and tells what is missing before it.
func (in *intake) skip(ctx context.Context, next, to int64) (int64, error) {
	if to <= next {
		return next, nil
	}
	if err := in.missing(ctx, next, to); err != nil {
		return next, err
	}
	return to, nil
}

// unpack makes the batch's records ready to be read.
func (b *batch) unpack() error {
	b.records = b.Records
	packed := compress.Compression(b.Attributes & packedBits) //nolint:gosec // three bits
	if packed == compress.None {
		return nil
	}
	codec := packed.Codec()
	if codec == nil {
		return fmt.Errorf("%w is compressed in a way that is not known: %d", b.unfit(), packed)
	}
	reader := codec.NewReader(bytes.NewReader(b.Records))
	defer reader.Close() //nolint:errcheck // it is memory
	records, err := io.ReadAll(io.LimitReader(reader, batchUnpacked+1))
	switch {
	case err != nil:
		return fmt.Errorf("%w is compressed by %s: %w", b.unfit(), packed, err)
	case len(records) > batchUnpacked:
		return fmt.Errorf("%w has more than %d bytes, compressed by %s", b.unfit(), batchUnpacked, packed)
	}
	b.records = records
	return nil
}

// next takes the first record that is left.
func (b *batch) next(record *kmsg.Record, r Range) (order.Message, error) {
	length, used := binary.Varint(b.records)
	if used <= 0 || length < 0 || length > int64(len(b.records)-used) {
		return order.Message{}, fmt.Errorf("a record of %d bytes, of which %d are left", length, len(b.records)-max(used, 0))
	}
	size := used + int(length)
	// Each message has memory of its own, the names of its headers too: one that has to wait
	// for long would keep those beside it there.
	if err := record.UnsafeReadFrom(slices.Clone(b.records[:size])); err != nil {
		return order.Message{}, err
	}
	b.records = b.records[size:]
	at := b.FirstTimestamp + record.TimestampDelta64
	if b.Attributes&appendTimeBit != 0 {
		at = b.MaxTimestamp
	}
	headers := make([]order.Header, len(record.Headers))
	for i, h := range record.Headers {
		headers[i] = order.Header(h)
	}
	return order.Message{
		Topic: r.Topic, Partition: r.Partition, Offset: b.FirstOffset + int64(record.OffsetDelta),
		Key: record.Key, Value: record.Value, Headers: headers, Time: time.UnixMilli(at),
	}, nil
}

// portionOf is what an answer has for a partition, in memory of its own.
func portionOf(p *kmsg.FetchResponseTopicPartition) portion {
	return portion{batches: slices.Clone(p.RecordBatches[:whole(p.RecordBatches)])}
}
