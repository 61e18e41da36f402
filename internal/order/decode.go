package order

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Codes of events that break the contract. They are stable: dashboards, dead
// letters and redrives name them.
const (
	CodeEmptyBody       = "empty_body"       // no value, or only white space
	CodeTooLarge        = "too_large"        // value over MaxValueBytes
	CodeMalformedJSON   = "malformed_json"   // not one JSON value, or nested too deep
	CodeInvalidUTF8     = "invalid_utf8"     // broken UTF-8 anywhere in the value
	CodeDuplicateMember = "duplicate_member" // one object names a member twice
	CodeSchemaInvalid   = "schema_invalid"   // JSON, but not an event of the contract
)

// maxDetailBytes keeps an error small enough for a header and a log line,
// however large the value is that it is about.
const maxDetailBytes = 200

// Malformed says why a message is not an event. It will never become one:
// trying again is of no use.
type Malformed struct {
	Code   string // one of the codes above
	Path   string // JSON pointer to what is wrong, as /items/0/num; may be empty
	Detail string // for a person; valid UTF-8 without control characters, at most 200 bytes

	masked string // Error without what it repeats of the event; empty when it repeats nothing
}

// Error joins code, path and detail.
func (m *Malformed) Error() string {
	if m.Path == "" {
		return m.Code + ": " + m.Detail
	}
	return m.Code + " at " + m.Path + ": " + m.Detail
}

// Masked is Error without what it repeats of the event; see [Masked].
func (m *Malformed) Masked() string {
	if m.masked == "" {
		return m.Error()
	}
	return m.masked
}

// Decode reads the event in a message, by the rules that contract/README.md
// states. Its error is always a *Malformed; the event beside it then carries
// whatever id, type and order id could be read, so that the dead letter can
// name them, and no lines. The message is not changed, and the event keeps no
// part of it.
func Decode(m *Message) (Event, error) {
	r, ok := readers.Get().(*eventReader)
	if !ok {
		r = new(eventReader)
	}
	defer r.release(len(m.Value))
	fault := r.read(m.Value)
	e := r.result(m)
	if fault == nil {
		fault = r.violation
	}
	if fault != nil {
		e.Lines = nil
		return e, fault
	}
	return e, nil
}

// read takes in the value. What it returns makes the value no JSON at all; what
// makes it no event is left in r.violation.
func (r *eventReader) read(value []byte) *Malformed {
	if len(value) > MaxValueBytes {
		r.reset(nil)
		return &Malformed{
			Code:   CodeTooLarge,
			Detail: "got " + strconv.Itoa(len(value)) + " bytes, want at most " + strconv.Itoa(MaxValueBytes),
		}
	}
	r.reset(value)
	if err := r.event(); err != nil {
		return syntaxFault(value, err)
	}
	return nil
}

var (
	errTrailing = errors.New("more data after the event")
	errTooDeep  = errors.New("nested more than " + strconv.Itoa(MaxDepth) + " levels deep")
)

// syntaxFault words an error of the JSON decoder. Broken UTF-8 is looked for in
// the whole value, so that the code does not depend on what else is broken.
func syntaxFault(value []byte, err error) *Malformed {
	switch {
	case errors.Is(err, io.EOF):
		return &Malformed{Code: CodeEmptyBody, Detail: "the message has no value"}
	case !utf8.Valid(value):
		return &Malformed{Code: CodeInvalidUTF8, Detail: "broken at byte " + strconv.Itoa(firstBadByte(value))}
	}
	fault := &Malformed{Code: CodeMalformedJSON, Detail: err.Error()}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		fault.Path = clip(string(syntactic.JSONPointer), maxDetailBytes)
		where := " at byte " + strconv.Itoa(int(syntactic.ByteOffset))
		fault.Detail = clip(syntactic.Err.Error(), maxDetailBytes/2) + where
		fault.masked = CodeMalformedJSON + ": " + mask + where // the path has names of members, which are anybody's
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		fault.Code, fault.Detail = CodeDuplicateMember, "named twice"
		fault.masked = CodeDuplicateMember + " at " + mask + ": named twice"
	}
	fault.Detail = strings.TrimPrefix(fault.Detail, "jsontext: ")
	return fault
}

// firstBadByte is where broken UTF-8 begins.
func firstBadByte(value []byte) int {
	at := 0
	for at < len(value) {
		r, size := utf8.DecodeRune(value[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}
