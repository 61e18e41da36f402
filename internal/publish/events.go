package publish

import (
	"bytes"
	"fmt"
	"iter"
	"path/filepath"
	"strings"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
)

// Formats of a file of events.
const (
	formatAuto  = "auto"
	formatJSONL = "jsonl"
	formatCSV   = "csv"
)

// eventReader turns lines into messages. It belongs to the goroutine that
// draws from events; what it knows may be read when that has ended.
type eventReader struct {
	cmd    *Command
	lines  *lineReader
	tally  *tally
	failed *failedFile

	format string    // jsonl or csv, once the first line has been seen
	orders csvOrders // the state of csv
	last   int       // the last line that has been dealt with
	long   int       // the last line that was too long to be looked at
	err    error     // why the input is no file of events
}

// events yields what is to be published. Lines that are no events go to the
// failed file.
func (r *eventReader) events() iter.Seq[parcel] {
	return func(yield func(parcel) bool) {
		for l := range r.lines.all() {
			if l.number == 1 {
				l.text = bytes.TrimPrefix(l.text, []byte(cli.ByteOrderMark))
			}
			if !r.deal(l, yield) {
				return
			}
		}
		// An order that is cut off because reading stopped is not published by
		// halves: it is among the lines that were not read.
		if r.format == formatCSV && r.lines.ctx.Err() == nil {
			r.endOrder(yield)
		}
	}
}

// deal deals with one line. It is false when no more lines are wanted.
func (r *eventReader) deal(l line, yield func(parcel) bool) bool {
	blank := len(bytes.TrimSpace(l.text)) == 0
	if !blank && r.format == "" {
		r.err = r.settleFormat(l.text)
		if r.err != nil {
			return false
		}
		r.failed.path = r.cmd.failedPath(r.format)
		r.err = r.failed.check()
		if r.err != nil {
			return false
		}
	}
	switch {
	case l.piece:
		r.tooLong(l)
	case blank:
	case r.format == formatCSV:
		return r.csvLine(l, yield)
	case !r.jsonLine(l, yield):
		return false
	}
	if r.orders.open.first == 0 {
		r.last = l.number
	}
	return true
}

// jsonLine is one event, published byte for byte.
func (r *eventReader) jsonLine(l line, yield func(parcel) bool) bool {
	value := withoutEnd(l.text)
	event, err := order.Decode(&order.Message{Value: value})
	if err != nil && !r.cmd.NoValidate {
		r.refuse(l.number, err, l.text)
		return true
	}
	return yield(parcel{message: r.cmd.Target.message(event, value), raw: l.text, line: l.number})
}

// refuse keeps what cannot be published for whoever is going to correct it.
func (r *eventReader) refuse(number int, why error, raw []byte) {
	r.tally.invalid.Add(1)
	r.tally.complaints.add("line %d: %s", number, r.tally.complaints.words(why))
	r.failed.write(raw)
}

// tooLong passes a line on to the failed file without looking at it.
func (r *eventReader) tooLong(l line) {
	if r.long != l.number {
		r.long = l.number
		r.tally.invalid.Add(1)
		r.tally.complaints.add("line %d: %s: more than %d bytes", l.number, order.CodeTooLarge, maxLineBytes)
		r.spoilOrder(fmt.Errorf("line %d is too long to tell whose it is", l.number))
	}
	r.failed.writePiece(l.text)
}

// settleFormat finds out the format, by the file's name or by the first line
// that is not blank.
func (r *eventReader) settleFormat(first []byte) error {
	character := bytes.TrimSpace(first)[0]
	format := r.cmd.Format
	if format == formatAuto {
		format = formatOf(filepath.Ext(r.cmd.File))
	}
	if format == formatAuto {
		format = formatCSV
		if strings.IndexByte(`{[`, character) >= 0 {
			format = formatJSONL
		}
	}
	if format == formatJSONL && character == '[' && !r.cmd.NoValidate {
		return &cli.Failure{
			Code: cli.ExitUsage,
			Err:  fmt.Errorf("%s is a JSON array: events stand one on a line", r.cmd.File),
			Try:  fmt.Sprintf("jq -c '.[]' %s | producer publish --topic %s", r.cmd.File, r.cmd.Target.Topic),
		}
	}
	r.format = format
	return nil
}

// formatOf is the format that a file's extension speaks of.
func formatOf(extension string) string {
	switch strings.ToLower(extension) {
	case ".csv":
		return formatCSV
	case ".jsonl", ".ndjson", ".json":
		return formatJSONL
	default:
		return formatAuto
	}
}
