package ledger

import (
	"encoding/hex"
	"strconv"
	"time"
)

// timeLayout is a DATETIME(3) literal. Every time is written in UTC.
const timeLayout = "'2006-01-02 15:04:05.000'"

// statement is the text of one SQL statement being written. The bulk
// statements of a batch carry tens of thousands of values; as text they need
// no placeholder (65,535 at most), no boxing and no second walk to put the
// values in. What came from outside only ever enters as a hexadecimal literal
// or as a number, so there is nothing to escape and nothing to inject.
type statement struct {
	b []byte

	// The rows of a batch share one moment; formatting it once is enough.
	moment     time.Time
	momentText []byte
}

func (s *statement) reset() *statement {
	s.b = s.b[:0]
	return s
}

func (s *statement) size() int { return len(s.b) }

// String returns the statement's text. It copies: the buffer is used again.
func (s *statement) String() string { return string(s.b) }

// text appends SQL of our own. Never a value.
func (s *statement) text(sql string) *statement {
	s.b = append(s.b, sql...)
	return s
}

// bytes appends a value as a binary string.
func (s *statement) bytes(value string) *statement {
	s.b = append(s.b, 'x', '\'')
	const digits = "0123456789abcdef"
	for i := range len(value) {
		s.b = append(s.b, digits[value[i]>>4], digits[value[i]&15])
	}
	s.b = append(s.b, '\'')
	return s
}

// raw is bytes for a value built as a slice; nil is NULL.
func (s *statement) raw(value []byte) *statement {
	if value == nil {
		return s.text("NULL")
	}
	s.b = append(s.b, 'x', '\'')
	s.b = hex.AppendEncode(s.b, value)
	s.b = append(s.b, '\'')
	return s
}

func (s *statement) int(value int64) *statement {
	s.b = strconv.AppendInt(s.b, value, 10)
	return s
}

// word appends one of our own constants (a state, a kind) as a string. Those
// columns are enumerations, which a binary string does not reach on every
// server.
func (s *statement) word(value string) *statement {
	for i := range len(value) {
		if value[i] < 'a' || value[i] > 'z' {
			panic("ledger: not a word: " + strconv.Quote(value))
		}
	}
	s.b = append(append(append(s.b, '\''), value...), '\'')
	return s
}

// time appends a moment; the zero time is NULL.
func (s *statement) time(t time.Time) *statement {
	if t.IsZero() {
		return s.text("NULL")
	}
	if s.momentText == nil || !t.Equal(s.moment) {
		s.moment, s.momentText = t, t.UTC().AppendFormat(s.momentText[:0], timeLayout)
	}
	s.b = append(s.b, s.momentText...)
	return s
}

// keys appends a list of keys inside the statement made for it.
func (s *statement) keys(q *KeyQuery, keys []string) *statement {
	s.text(q.Open)
	for i, key := range keys {
		if i > 0 {
			s.text(q.Between)
		}
		s.bytes(key)
	}
	return s.text(q.Close)
}
