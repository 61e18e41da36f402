package telemetry

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// State is how one line of a Report stands.
type State uint8

const (
	// OK is well.
	OK State = iota
	// Warning is unwell, and the report as a whole may be well.
	Warning
	// Failing is unwell, and so is the report.
	Failing
)

// Line is one thing a report looked at.
type Line struct {
	Name    string
	State   State
	Message string        // what is wrong; one line, empty when nothing is
	For     time.Duration // how long State has been so, whole seconds; 0 when not known
}

// String returns the line as Kubernetes' probes show theirs: "[+]database ok",
// "[-]group: not joined (for 12s)", "[!]redis: connection refused (for 3s)".
func (l Line) String() string {
	if l.State == OK {
		return "[+]" + l.Name + " ok"
	}
	mark := "[-]"
	if l.State == Warning {
		mark = "[!]"
	}
	return fmt.Sprintf("%s%s: %s (for %s)", mark, l.Name, l.Message, l.For)
}

// Report is the answer to a probe.
type Report struct {
	Lines []Line
}

// OK reports whether no line fails. Warnings do not matter.
func (r Report) OK() bool {
	for _, l := range r.Lines {
		if l.State == Failing {
			return false
		}
	}
	return true
}

// Err returns what fails as one error, nil when nothing does.
func (r Report) Err() error {
	var errs []error
	for _, l := range r.Lines {
		if l.State == Failing {
			errs = append(errs, fmt.Errorf("%s: %s", l.Name, l.Message))
		}
	}
	return errors.Join(errs...)
}

// add appends c as a line; unwell is the state it has when it is not well.
func (r *Report) add(name string, c condition, unwell State) {
	l := Line{Name: name}
	if !c.since.IsZero() {
		l.For = time.Since(c.since).Truncate(time.Second)
	}
	if c.err != nil {
		l.State, l.Message = unwell, oneLine(c.err.Error())
	}
	r.Lines = append(r.Lines, l)
}

// maxMessage keeps an error that carries a whole answer out of the report.
const maxMessage = 300

// oneLine keeps a message from looking like further lines of the report.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "..."
	}
	return s
}
