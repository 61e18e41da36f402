package order

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// readers keeps the memory of event readers between events; it holds nothing
// of any event.
var readers sync.Pool

// maxPooledBytes: a reader that has met a larger value is thrown away, so that
// one large event does not leave large buffers behind for ever.
const maxPooledBytes = 64 << 10

// eventReader reads the value of one event at a time. The texts it meets are
// gathered in one buffer and become one string at the end, of which the event's
// ids are parts: one allocation however many items there are. The value itself
// cannot take the buffer's place, because an id that is kept for long would
// keep up to a megabyte with it.
type eventReader struct {
	decoder jsontext.Decoder
	source  bytes.Buffer // the decoder reads straight from it, without a copy
	text    []byte
	items   []item
	found
}

// found is what has been read of the event at hand.
type found struct {
	id, order span
	kind      Type
	at        time.Time
	dated     bool       // at was in the value
	listed    int        // how many items there were; notListed for none or null
	violation *Malformed // the first breach of the schema
}

// span is a part of eventReader.text; an empty one means that there was none.
type span struct{ from, to int }

func (s span) in(text string) string { return text[s.from:s.to] }
func (s span) empty() bool           { return s.from == s.to }

type item struct {
	goods span
	num   int64
}

const notListed = -1

func (r *eventReader) reset(value []byte) {
	r.source = *bytes.NewBuffer(value)
	r.decoder.Reset(&r.source)
	r.text, r.items = r.text[:0], r.items[:0]
	r.found = found{listed: notListed}
}

// release gives the reader back without the event.
func (r *eventReader) release(size int) {
	if size > maxPooledBytes {
		return
	}
	r.reset(nil)
	readers.Put(r)
}

// object hands every name of an object to member, which reads the value.
func (r *eventReader) object(at place, member func(at place, name []byte) error) error {
	if r.decoder.PeekKind() != '{' {
		return r.reject(at, "an object")
	}
	if _, err := r.decoder.ReadToken(); err != nil {
		return err
	}
	for r.decoder.PeekKind() != '}' {
		quoted, err := r.decoder.ReadValue()
		if err != nil {
			return err
		}
		if err := member(at, r.unquote(quoted)); err != nil {
			return err
		}
	}
	_, err := r.decoder.ReadToken()
	return err
}

// end makes sure that nothing but white space is left.
func (r *eventReader) end() error {
	_, err := r.decoder.ReadToken()
	switch {
	case err == nil:
		return errTrailing
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// skip passes over one value, which may be anything that is JSON.
func (r *eventReader) skip() error {
	if kind := r.decoder.PeekKind(); kind != '{' && kind != '[' {
		_, err := r.decoder.ReadValue()
		return err
	}
	outside := r.decoder.StackDepth()
	for {
		if _, err := r.decoder.ReadToken(); err != nil {
			return err
		}
		switch depth := r.decoder.StackDepth(); {
		case depth == outside:
			return nil
		case depth > MaxDepth:
			return errTooDeep
		}
	}
}

// unquote returns what a JSON string says. The result is good until the next
// call of the decoder or of unquote.
func (r *eventReader) unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	// The decoder has checked the string, so that it cannot fail.
	plain, _ := jsontext.AppendUnquote[[]byte](nil, quoted)
	return plain
}

// reject passes over a value that should have been something else.
func (r *eventReader) reject(at place, want string) error {
	kind := r.decoder.PeekKind()
	if kind == '{' {
		r.violate(at, "an object", want)
		return r.skip()
	}
	if kind == '[' {
		r.violate(at, "an array", want)
		return r.skip()
	}
	raw, err := r.decoder.ReadValue()
	if err != nil {
		return err
	}
	r.refuse(at, "", string(raw), want)
	return nil
}

// violate notes a breach of the schema; the first one counts. got describes what
// was found, and repeats nothing of it.
func (r *eventReader) violate(at place, got, want string) {
	if r.violation == nil {
		r.violation = &Malformed{
			Code:   CodeSchemaInvalid,
			Path:   at.pointer(),
			Detail: "got " + clip(got, maxGotBytes) + ", want " + want,
		}
	}
}

// refuse is violate for a value that is repeated; what says what it is a value
// of, where the place does not.
func (r *eventReader) refuse(at place, what, value, want string) {
	if r.violation == nil {
		r.violate(at, what+value, want)
		masked := Malformed{Code: r.violation.Code, Path: r.violation.Path, Detail: "got " + what + mask + ", want " + want}
		r.violation.masked = masked.Error()
	}
}

// maxGotBytes is how much of a wrong value an error repeats: enough to
// recognise it, too little to carry somebody's data about.
const maxGotBytes = 40

// place is where in an event a value stands: the event itself, a member of it,
// an item, or a member of an item.
type place struct {
	item   int // counted from one; zero outside of the items
	member string
}

// pointer writes the place as a JSON pointer.
func (p place) pointer() string {
	pointer := ""
	if p.item > 0 {
		pointer = "/items/" + strconv.Itoa(p.item-1)
	}
	if p.member != "" {
		pointer += "/" + p.member
	}
	return pointer
}

func (p place) of(member string) place { return place{item: p.item, member: member} }
