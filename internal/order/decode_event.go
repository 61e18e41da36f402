package order

import (
	"strconv"
	"time"
)

// What the members of an event must be, as errors put it.
const (
	wantID    = "a string without control characters, or an integer"
	wantNum   = "1..1000000000"
	wantType  = "order.created or order.cancelled"
	wantTime  = "a time as 2026-11-23T01:02:03Z"
	wantItems = "1..500 items"
)

// event reads the whole value. Its error is one of syntax. A breach of the
// schema is left in r.violation and the rest is read all the same: a value that
// is cut off is broken JSON whatever else it is, and the order id may be still
// to come.
func (r *eventReader) event() error {
	if err := r.object(place{}, r.eventMember); err != nil {
		return err
	}
	return r.end()
}

func (r *eventReader) eventMember(at place, name []byte) error {
	switch string(name) {
	case "event_id":
		return r.optional(at.of("event_id"), r.eventID)
	case "type":
		return r.optional(at.of("type"), r.eventType)
	case "order_id":
		return r.identifier(&r.order, at.of("order_id"), MaxIDBytes)
	case "occurred_at":
		return r.optional(at.of("occurred_at"), r.occurredAt)
	case "items":
		return r.optional(at.of("items"), r.itemList)
	default:
		return r.skip()
	}
}

// optional takes null for a member that is not there.
func (r *eventReader) optional(at place, read func(place) error) error {
	if r.decoder.PeekKind() == 'n' {
		_, err := r.decoder.ReadValue()
		return err
	}
	return read(at)
}

func (r *eventReader) eventID(at place) error {
	return r.identifier(&r.id, at, MaxEventIDBytes)
}

func (r *eventReader) eventType(at place) error {
	if r.decoder.PeekKind() != '"' {
		return r.reject(at, wantType)
	}
	quoted, err := r.decoder.ReadValue()
	if err != nil {
		return err
	}
	kind, ok := typeOf(r.unquote(quoted))
	if !ok {
		r.refuse(at, "", string(quoted), wantType)
	}
	r.kind = kind
	return nil
}

func typeOf(text []byte) (Type, bool) {
	switch string(text) {
	case string(Created):
		return Created, true
	case string(Cancelled):
		return Cancelled, true
	default:
		return "", false
	}
}

func (r *eventReader) occurredAt(at place) error {
	if r.decoder.PeekKind() != '"' {
		return r.reject(at, wantTime)
	}
	quoted, err := r.decoder.ReadValue()
	if err != nil {
		return err
	}
	if r.at, r.dated = timeOf(r.unquote(quoted)); !r.dated {
		r.refuse(at, "", string(quoted), wantTime)
	}
	return nil
}

// timeOf reads RFC 3339 by the letter.
func timeOf(text []byte) (time.Time, bool) {
	var t time.Time
	if t.UnmarshalText(text) != nil || !exact(text) {
		return time.Time{}, false
	}
	if t = t.UTC(); !writable(t) {
		return time.Time{}, false
	}
	return t, true
}

// exact refuses what package time lets pass although RFC 3339 does not: hours of
// one digit, a comma for the point, and zones of 24 hours or 60 minutes.
func exact(text []byte) bool {
	const afterHour, afterSecond = len("2006-01-02T15"), len("2006-01-02T15:04:05")
	if len(text) <= afterSecond || text[afterHour] != ':' || text[afterSecond] == ',' {
		return false
	}
	if text[len(text)-1] == 'Z' {
		return true
	}
	zone := text[len(text)-len("+07:00"):]
	return string(zone[1:3]) < "24" && string(zone[4:6]) < "60"
}

// writable is false for times before and after the years that RFC 3339 can
// write. The zone can carry the first and the last hours of the calendar there.
func writable(utc time.Time) bool { return utc.Year() >= 1 && utc.Year() <= 9999 }

// identifier reads a string, or an integer as its decimal text.
func (r *eventReader) identifier(into *span, at place, limit int) error {
	kind := r.decoder.PeekKind()
	if kind != '"' && kind != '0' {
		return r.reject(at, wantID)
	}
	raw, err := r.decoder.ReadValue()
	if err != nil {
		return err
	}
	text := []byte(raw)
	good := kind == '0' && plainInteger(raw)
	if kind == '"' {
		text = r.unquote(raw)
		good = !hasControl(text)
	}
	switch {
	case !good:
		r.refuse(at, "", string(raw), wantID)
	case len(text) < 1 || len(text) > limit:
		r.violate(at, strconv.Itoa(len(text))+" bytes", "1.."+strconv.Itoa(limit)+" bytes")
	default:
		*into = r.keep(text)
	}
	return nil
}

func (r *eventReader) keep(text []byte) span {
	from := len(r.text)
	r.text = append(r.text, text...)
	return span{from, len(r.text)}
}

// plainInteger is true for a JSON number without fraction and exponent. Minus
// zero is not one: it would be a second name for zero.
func plainInteger(number []byte) bool {
	digits := number
	if digits[0] == '-' {
		digits = digits[1:]
	}
	return allDigits(digits) && string(number) != "-0"
}

func allDigits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

// hasControl is true for text that a log line or a header could not carry.
func hasControl[T ~string | ~[]byte](text T) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] == 0x7f {
			return true
		}
	}
	return false
}
