package order

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"orderconsumer/internal/stock"
)

// Type is what an event says happened to an order.
type Type string

const (
	// Created asks for the order's goods to be deducted.
	Created Type = "order.created"
	// Cancelled asks for what was deducted to be given back.
	Cancelled Type = "order.cancelled"
)

// Limits of the wire contract. The schema in the contract folder states the
// same numbers, and a test holds the two against each other.
const (
	// MaxValueBytes is what Kafka lets pass by default. 500 items of the longest
	// ids are 60 KB, so that a larger value is no order.
	MaxValueBytes = 1 << 20
	// MaxItems keeps one order's locks and rows to a size that a batch of many
	// orders is not hurt by.
	MaxItems = 500
	// MaxNum is far above any real order and far enough below 2^63 that 500
	// items, or millions of orders, cannot overflow a level.
	MaxNum = 1_000_000_000
	// MaxIDBytes is the width of the id columns in the database.
	MaxIDBytes = 64
	// MaxEventIDBytes leaves room for an id derived from type and order id
	// (15 + 1 + 64 bytes), and for a UUID behind a namespace.
	MaxEventIDBytes = 128
	// MaxDepth bounds the nesting of members that are not part of the contract.
	MaxDepth = 64
)

// Event is one order event as the contract defines it. Decode only returns
// events that keep the contract's limits.
type Event struct {
	// ID names this event. One that came without an id gets Type:OrderID, which
	// is the same on every replay.
	ID string
	// Type is Created or Cancelled.
	Type Type
	// OrderID is the order that the event is about.
	OrderID string
	// OccurredAt is when it happened, by the shop's clock, in UTC. Zero when
	// the event does not say.
	OccurredAt time.Time
	// Lines are sorted by goods, each goods once. For a Cancelled event they
	// are a hint only: what was deducted is what is given back.
	Lines []stock.Line
}

// AppendEvent appends the JSON of e to dst: the value of a message that Decode
// reads back as e, provided that e keeps the contract's limits. Members that
// are empty are left out.
func AppendEvent(dst []byte, e Event) []byte {
	dst = append(dst, '{')
	if e.ID != "" {
		dst = append(appendQuoted(append(dst, `"event_id":`...), e.ID), ',')
	}
	dst = append(appendQuoted(append(dst, `"type":`...), string(e.Type)), ',')
	dst = appendQuoted(append(dst, `"order_id":`...), e.OrderID)
	if !e.OccurredAt.IsZero() {
		dst = append(dst, `,"occurred_at":"`...)
		dst = e.OccurredAt.UTC().AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, '"')
	}
	if len(e.Lines) > 0 {
		dst = appendLines(append(dst, `,"items":`...), e.Lines)
	}
	return append(dst, '}')
}

// appendLines appends [{"goods_id":"421","num":2}, ...].
func appendLines(dst []byte, lines []stock.Line) []byte {
	dst = append(dst, '[')
	for i := range lines {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(append(dst, `{"goods_id":`...), lines[i].Goods)
		dst = strconv.AppendInt(append(dst, `,"num":`...), lines[i].Num, 10)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendQuoted appends text as a JSON string.
func appendQuoted(dst []byte, text string) []byte {
	// Its only error is about broken UTF-8, which it has replaced by then. Ids
	// that Decode let pass have none.
	dst, _ = jsontext.AppendQuote(dst, text)
	return dst
}

// appendTime appends t as a JSON string in TimeFormat.
func appendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, TimeFormat)
	return append(dst, '"')
}
