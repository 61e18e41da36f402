package publish

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// csvColumns are the columns in the order in which they stand when no header
// line says otherwise.
var csvColumns = [...]string{"order_id", "goods_id", "num"}

// maxRowBytes is the longest line that is taken for a row: one column of a
// person's notes fits, and the lines of one order fit into memory.
const maxRowBytes = 64 << 10

// csvOrders gathers lines into orders. The lines of an order stand together:
// one that comes later would find its order published, and an order cannot be
// added to.
type csvOrders struct {
	begun   bool   // the first line has been seen
	header  bool   // it was a header
	columns [3]int // where each of csvColumns stands
	open    csvOrder
	// seen are the hashes of the order ids that have been dealt with: eight
	// bytes for an order of whatever name. Of a million orders, one in about
	// forty million files would hold two that are taken for one.
	// The value tells whether the order was handed on to be published.
	seen map[uint64]bool
	seed maphash.Seed
}

// csvOrder is the order whose lines are being gathered.
type csvOrder struct {
	id    string
	first int // its first line; zero when there is no order
	lines []stock.Line
	raw   []byte // its lines as they stand in the file
	fault error
	wrong int // the line that fault is about
}

// csvLine deals with one line that is not blank.
func (r *eventReader) csvLine(l line, yield func(parcel) bool) bool {
	o := &r.orders
	fields, err := csvFields(withoutEnd(l.text))
	if !o.begun {
		o.begun, o.columns = true, [3]int{0, 1, 2}
		o.seen, o.seed = make(map[uint64]bool), maphash.MakeSeed()
		if err == nil && o.isHeader(fields) {
			r.failed.header, r.last = l.text, l.number
			r.err = o.complete(r.cmd.File)
			return r.err == nil
		}
	}
	id, row, fault := o.row(fields, err)
	if len(l.text) > maxRowBytes {
		fault = fmt.Errorf("more than %d bytes", maxRowBytes)
	}
	// A line that cannot be read may belong to the order before it, which is then
	// not published without it.
	if (id == "" || id == o.open.id) && o.open.first > 0 {
		r.addRow(l, row, fault)
		return true
	}
	if !r.endOrder(yield) {
		return false
	}
	r.last = l.number - 1
	o.open = csvOrder{id: id, first: l.number}
	r.addRow(l, row, fault)
	return true
}

// addRow adds a line to the order that is open.
func (r *eventReader) addRow(l line, row stock.Line, fault error) {
	o := &r.orders.open
	if fault == nil && o.fault == nil && len(o.lines) == order.MaxItems {
		fault = fmt.Errorf("more than %d lines of one order", order.MaxItems)
	}
	if o.wrong == 0 && fault != nil {
		o.wrong = l.number
	}
	o.lines = append(o.lines, row)
	o.raw = append(o.raw, l.text...)
	r.spoilOrder(cmp.Or(o.fault, fault))
}

// spoilOrder notes that the order that is open cannot be published. Its lines
// need not be kept any longer.
func (r *eventReader) spoilOrder(fault error) {
	o := &r.orders.open
	if o.first == 0 || fault == nil {
		return
	}
	r.failed.write(o.raw)
	o.fault, o.lines, o.raw = fault, nil, nil
}

// endOrder publishes the order that is open, if there is one.
func (r *eventReader) endOrder(yield func(parcel) bool) bool {
	o := r.orders.open
	r.orders.open = csvOrder{}
	if o.first == 0 {
		return true
	}
	hash := maphash.String(r.orders.seed, o.id)
	published, again := r.orders.seen[hash]
	if again && o.id != "" {
		if o.fault == nil {
			r.failed.write(o.raw)
		}
		o.fault, o.wrong = r.late(o.id, published), o.first
	}
	var message order.Message
	if o.fault == nil {
		message, o.fault = r.cmd.Target.placed(o)
		if o.fault != nil {
			r.failed.write(o.raw)
		}
	}
	r.orders.seen[hash] = published || o.fault == nil
	if o.fault != nil {
		r.tally.invalid.Add(1)
		r.tally.complaints.add("%s", o.complaint(r.tally.complaints.words(o.fault)))
		return true
	}
	return yield(parcel{message: message, raw: o.raw, line: o.first})
}

// late is what is wrong with lines whose order stands further up already.
func (r *eventReader) late(id string, published bool) error {
	if !published {
		return fmt.Errorf("order %q was refused further up: the lines of an order must stand together", id)
	}
	r.tally.late.Add(1)
	return fmt.Errorf("order %q was published without this line and is incomplete: the lines of an order must stand together, "+
		"and publishing it again under the same id would be a conflict", id)
}

// complaint says what is wrong, in these words, and in which line.
func (o *csvOrder) complaint(fault string) string {
	if o.wrong == 0 || o.wrong == o.first {
		return fmt.Sprintf("line %d: %s", o.first, fault)
	}
	return fmt.Sprintf("line %d: %s (the order begins in line %d)", o.wrong, fault, o.first)
}

// numFault is a number that is none.
type numFault struct{ text string }

// Error implements error.
func (e *numFault) Error() string { return fmt.Sprintf("num is %q, want 1..%d", e.text, order.MaxNum) }

// Masked is Error without the text; see [order.Masked].
func (e *numFault) Masked() string { return fmt.Sprintf("num is (masked), want 1..%d", order.MaxNum) }

// placed is the message that creates an order now.
func (t *TargetSettings) placed(o csvOrder) (order.Message, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return order.Message{}, err
	}
	value := order.AppendEvent(nil, order.Event{
		ID:         id.String(),
		Type:       order.Created,
		OrderID:    o.id,
		OccurredAt: time.Now().UTC().Truncate(time.Millisecond),
		Lines:      o.lines,
	})
	event, err := order.Decode(&order.Message{Value: value})
	return t.message(event, value), err
}

// isHeader takes the first line for names if one of them is a column's name.
func (o *csvOrders) isHeader(fields []string) bool {
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = strings.ToLower(field)
	}
	if !slices.Contains(names, csvColumns[0]) {
		return false
	}
	o.header = true
	for i, name := range csvColumns {
		o.columns[i] = slices.Index(names, name)
	}
	return true
}

// complete refuses a header line that does not name every column.
func (o *csvOrders) complete(file string) error {
	for i, name := range csvColumns {
		if o.columns[i] < 0 {
			return cli.Usage("the first line of %s names no column %s, want %s", file, name, strings.Join(csvColumns[:], ","))
		}
	}
	return nil
}

// row reads the columns. The order id is given even where the rest makes no
// sense.
func (o *csvOrders) row(fields []string, err error) (id string, row stock.Line, _ error) {
	if err != nil {
		return "", row, err
	}
	column := func(i int) string {
		if at := o.columns[i]; at >= 0 && at < len(fields) {
			return fields[at]
		}
		return ""
	}
	id, row.Goods = column(0), column(1)
	switch {
	case !o.header && len(fields) != len(csvColumns):
		return id, row, fmt.Errorf("%d columns, want %s", len(fields), strings.Join(csvColumns[:], ","))
	case id == "":
		return id, row, errors.New("no order_id")
	case row.Goods == "":
		return id, row, errors.New("no goods_id")
	}
	row.Num, err = strconv.ParseInt(column(2), 10, 64)
	if err != nil {
		return id, row, &numFault{text: column(2)}
	}
	return id, row, nil
}

// csvFields splits a line. Ids hold no line breaks, so that a line is a record.
func csvFields(text []byte) ([]string, error) {
	if bytes.IndexByte(text, '"') < 0 {
		fields := strings.Split(string(text), ",")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		return fields, nil
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.FieldsPerRecord, reader.TrimLeadingSpace = -1, true
	fields, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("no CSV: %w", err)
	}
	return fields, nil
}
