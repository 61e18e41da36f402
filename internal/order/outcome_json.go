package order

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"orderconsumer/internal/stock"
)

// Source is the ce_source of every outcome.
const Source = "/order-consumer"

// outcomeHeaders is how many headers an outcome has that is part of no trace.
const outcomeHeaders = 6

// The values of headers that are the same in every outcome. Nobody writes to what a
// message holds.
var (
	specVersion = []byte("1.0")
	source      = []byte(Source)
	contentType = []byte("application/json")
)

// maxTraceParentBytes is the longest traceparent an outcome takes over. W3C
// Trace Context writes 55 bytes, and later versions may add to that; anything
// longer is none, and copied into the outcome could make it larger than its
// topic takes.
const maxTraceParentBytes = 128

// AppendOutcome appends the JSON of o to dst. Members that are empty are left
// out. Equal outcomes give equal bytes.
func AppendOutcome(dst []byte, o *Outcome) []byte {
	dst = appendQuoted(append(dst, `{"event_id":`...), o.ID)
	dst = appendQuoted(append(dst, `,"type":`...), o.Type)
	dst = appendText(dst, `,"order_id":`, o.OrderID)
	dst = appendText(dst, `,"caused_by":`, o.CausedBy)
	dst = appendTime(append(dst, `,"occurred_at":`...), o.OccurredAt)
	if len(o.Lines) > 0 {
		dst = appendLines(append(dst, `,"items":`...), o.Lines)
	}
	if len(o.Shortages) > 0 {
		dst = appendShortages(append(dst, `,"short":`...), o.Shortages)
	}
	dst = appendText(dst, `,"code":`, o.Code)
	dst = appendText(dst, `,"message":`, o.Detail)
	if o.Origin.Topic != "" {
		dst = appendQuoted(append(dst, `,"origin":{"topic":`...), o.Origin.Topic)
		dst = strconv.AppendInt(append(dst, `,"partition":`...), int64(o.Origin.Partition), 10)
		dst = strconv.AppendInt(append(dst, `,"offset":`...), o.Origin.Offset, 10)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// Message is the message that publishes o on topic, keyed by its order so that
// one order's outcomes keep their order. The traceparent of the event, if it
// had one of a sensible length, makes the outcome a part of the same trace.
func (o *Outcome) Message(topic string, traceparent []byte) Message {
	// The value, the key and every header's value are cut from one buffer: two
	// allocations a message instead of ten. Growing it is harmless, what was cut
	// off before keeps the old one.
	buffer := make(slab, 0, o.sizeHint())
	buffer = AppendOutcome(buffer, o)
	m := Message{Topic: topic, Value: slices.Clip(buffer)}
	if o.OrderID != "" {
		m.Key = buffer.put(o.OrderID)
	}
	at := len(buffer)
	buffer = o.OccurredAt.UTC().AppendFormat(buffer, TimeFormat)
	headers, traced := outcomeHeaders, len(traceparent) > 0 && len(traceparent) <= maxTraceParentBytes
	if traced {
		headers++
	}
	m.Headers = make([]Header, 0, headers)
	m.Headers = append(m.Headers,
		Header{HeaderTime, buffer[at:len(buffer):len(buffer)]},
		Header{HeaderSpecVersion, specVersion},
		Header{HeaderID, buffer.put(o.ID)},
		Header{HeaderType, buffer.put(o.Type)},
		Header{HeaderSource, source},
		Header{HeaderContentType, contentType},
	)
	if traced {
		m.Headers = append(m.Headers, Header{HeaderTraceParent, traceparent})
	}
	return m
}

// sizeHint is about how many bytes Message needs; too small a one costs an
// allocation, nothing else.
func (o *Outcome) sizeHint() int {
	const fixed, perLine, perShortage = 200, 34, 64
	n := fixed + 3*len(o.ID) + 2*len(o.Type) + 2*len(o.OrderID) + len(o.Code) + len(o.Detail) + len(o.Origin.Topic)
	for i := range o.Lines {
		n += perLine + len(o.Lines[i].Goods)
	}
	for i := range o.Shortages {
		n += perShortage + len(o.Shortages[i].Goods)
	}
	return n
}

// slab is a buffer that texts are cut from.
type slab []byte

func (s *slab) put(text string) []byte {
	from := len(*s)
	*s = append(*s, text...)
	return (*s)[from:len(*s):len(*s)]
}

// appendText appends a member that is left out when it is empty.
func appendText(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	return appendQuoted(append(dst, name...), text)
}

func appendShortages(dst []byte, shortages []stock.Shortage) []byte {
	dst = append(dst, '[')
	for i := range shortages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(append(dst, `{"goods_id":`...), shortages[i].Goods)
		dst = strconv.AppendInt(append(dst, `,"wanted":`...), shortages[i].Wanted, 10)
		dst = strconv.AppendInt(append(dst, `,"available":`...), shortages[i].Available, 10)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// DecodeOutcome reads what AppendOutcome wrote. It is for readers of the
// results topic, which ignore members they do not know.
func DecodeOutcome(value []byte) (Outcome, error) {
	var w struct {
		EventID    string    `json:"event_id"`
		Type       string    `json:"type"`
		OrderID    string    `json:"order_id"`
		CausedBy   string    `json:"caused_by"`
		OccurredAt time.Time `json:"occurred_at"`
		Items      []struct {
			GoodsID string `json:"goods_id"`
			Num     int64  `json:"num"`
		} `json:"items"`
		Short []struct {
			GoodsID   string `json:"goods_id"`
			Wanted    int64  `json:"wanted"`
			Available int64  `json:"available"`
		} `json:"short"`
		Code    string `json:"code"`
		Message string `json:"message"`
		Origin  struct {
			Topic     string `json:"topic"`
			Partition int    `json:"partition"`
			Offset    int64  `json:"offset"`
		} `json:"origin"`
	}
	if err := json.Unmarshal(value, &w); err != nil {
		return Outcome{}, fmt.Errorf("decode outcome of %d bytes: %w", len(value), err)
	}
	o := Outcome{
		ID: w.EventID, Type: w.Type, OrderID: w.OrderID, CausedBy: w.CausedBy, OccurredAt: w.OccurredAt.UTC(),
		Code: w.Code, Detail: w.Message,
		Origin: stock.Origin{Topic: w.Origin.Topic, Partition: w.Origin.Partition, Offset: w.Origin.Offset},
	}
	for _, it := range w.Items {
		o.Lines = append(o.Lines, stock.Line{Goods: it.GoodsID, Num: it.Num})
	}
	for _, short := range w.Short {
		o.Shortages = append(o.Shortages, stock.Shortage{Goods: short.GoodsID, Wanted: short.Wanted, Available: short.Available})
	}
	return o, nil
}
