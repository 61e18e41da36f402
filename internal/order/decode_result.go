package order

import (
	"strconv"
	"unicode/utf8"
)

// result is the event as far as it was read. The rules that take more than one
// member are applied here, and what the headers have to say.
func (r *eventReader) result(m *Message) Event {
	r.mergeType(m)
	r.checkPresence()
	if !r.dated {
		r.timeFromHeader(m)
	}
	if r.id.empty() {
		r.idFromHeader(m)
	}
	if r.id.empty() && r.kind != "" && !r.order.empty() {
		r.deriveID()
	}
	text := string(r.text)
	return Event{
		ID:         r.id.in(text),
		Type:       r.kind,
		OrderID:    r.order.in(text),
		OccurredAt: r.at,
		Lines:      r.lines(text),
	}
}

// mergeType takes the type from the header when the value has none. Two that
// disagree are refused: one of them is wrong, and one of them gives goods away.
func (r *eventReader) mergeType(m *Message) {
	value, ok := m.Header(HeaderType)
	switch kind, known := typeOf(value); {
	case !ok || len(value) == 0:
		if r.kind == "" {
			r.violate(place{member: "type"}, "nothing", wantType)
		}
	case r.kind == "" && known:
		r.kind = kind
	case !known || r.kind != kind:
		want := wantType
		if r.kind != "" {
			want = string(r.kind) + " as in the value"
		}
		r.refuse(place{}, "header "+HeaderType+" ", strconv.Quote(clip(string(value), maxGotBytes)), want)
	}
}

// checkPresence applies the rules about members that must be there.
func (r *eventReader) checkPresence() {
	if r.order.empty() {
		r.violate(place{member: "order_id"}, "nothing", wantID)
	}
	items := place{member: "items"}
	switch {
	case r.listed > MaxItems:
		r.violate(items, strconv.Itoa(r.listed)+" items", wantItems)
	case r.kind != Created || r.listed > 0:
	case r.listed == 0:
		r.violate(items, "no items", wantItems)
	default:
		r.violate(items, "nothing", wantItems)
	}
}

func (r *eventReader) timeFromHeader(m *Message) {
	value, ok := m.Header(HeaderTime)
	if !ok || len(value) == 0 {
		return
	}
	at, good := timeOf(value)
	if !good {
		r.refuse(place{}, "header "+HeaderTime+" ", strconv.Quote(clip(string(value), maxGotBytes)), wantTime)
		return
	}
	r.at = at
}

func (r *eventReader) idFromHeader(m *Message) {
	value, ok := m.Header(HeaderID)
	switch {
	case !ok || len(value) == 0:
	case len(value) > MaxEventIDBytes:
		r.violate(place{}, "header "+HeaderID+" of "+strconv.Itoa(len(value))+" bytes", "1.."+strconv.Itoa(MaxEventIDBytes)+" bytes")
	case hasControl(value) || !utf8.Valid(value):
		r.refuse(place{}, "header "+HeaderID+" ", strconv.Quote(clip(string(value), maxGotBytes)), wantID)
	default:
		r.id = r.keep(value)
	}
}

// deriveID names an event that came without an id: by what it says, so that it
// keeps its name when it is published again.
func (r *eventReader) deriveID() {
	from := len(r.text)
	r.text = append(r.text, r.kind...)
	r.text = append(r.text, ':')
	r.text = append(r.text, r.text[r.order.from:r.order.to]...)
	r.id = span{from, len(r.text)}
}
