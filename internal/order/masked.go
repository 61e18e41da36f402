package order

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// mask stands for what is not repeated.
const mask = "(masked)"

// Masked is what an error says, without what it repeats of an event: values,
// headers, and names of members that are not in the contract. Ids of orders and
// goods stay, because they are what a log is searched for. An error that repeats
// something has a method
//
//	Masked() string
//
// which is Error without it, and may be wrapped.
func Masked(err error) string {
	text := err.Error()
	if repeats, ok := errors.AsType[interface {
		error
		Masked() string
	}](err); ok {
		text = strings.ReplaceAll(text, repeats.Error(), repeats.Masked())
	}
	return text
}

// Masked is Error without the value, unless that is of the language itself: what
// the program panicked with may be the event. It has no stack.
func (e *panicError) Masked() string {
	if _, ok := e.value.(runtime.Error); ok {
		return fmt.Sprintf("panic: %v", e.value)
	}
	return fmt.Sprintf("panic: %T %s", e.value, mask)
}

// Reason is why an event was retried or is dead, in one line for a person. Unless
// shown is true it repeats nothing of the event but its ids.
func (s *Settlement) Reason(shown bool) string {
	switch {
	case s.Cause == nil:
		return ""
	case shown:
		return clip(s.Cause.Error(), maxErrorMessageBytes)
	}
	text := Masked(s.Cause)
	switch s.Code {
	case CodeUnknown, CodeInvalid, CodeBusy:
		text = withoutQuotes(text) // a database quotes the statement that it did not like
	}
	return clip(text, maxErrorMessageBytes)
}

// withoutQuotes masks what stands between the first quotation mark and the last.
func withoutQuotes(text string) string {
	const marks = "'\"`"
	first, last := strings.IndexAny(text, marks), strings.LastIndexAny(text, marks)
	if first == last { // there is none, or one that nothing ends
		last = len(text) - 1
	}
	if first < 0 {
		return text
	}
	return text[:first] + mask + text[last+1:]
}
