package workload

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"time"

	"orderconsumer/internal/order"
)

// Kind says what an event of the workload is for.
type Kind uint8

const (
	// Created is an order's first event of its kind.
	Created Kind = iota + 1
	// Duplicate is the same bytes once more.
	Duplicate
	// Cancelled takes an order back.
	Cancelled
	// Broken breaks the contract; it can only be dead-lettered.
	Broken
)

var kinds = [...]string{Created: "created", Duplicate: "duplicate", Cancelled: "cancelled", Broken: "broken"}

// String returns created, duplicate, cancelled or broken.
func (k Kind) String() string {
	if k >= Created && int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("Kind(%d)", k)
}

// Item is one message to publish. Nothing else uses its memory.
type Item struct {
	Kind Kind
	// Key is the order id; of a broken event it is the marker.
	Key []byte
	// Value is one line of JSON, or of something like it.
	Value []byte
	// Event is what Value says. Of a broken event only the OrderID is set, to
	// the marker, which no other event has in its value.
	Event order.Event
}

// Events yields the messages of the workload in the order in which they are to
// be published. It keeps in memory only the numbers of the orders whose
// duplicate or cancellation is still to come.
func (w *Workload) Events() iter.Seq[Item] {
	return func(yield func(Item) bool) {
		s := stream{workload: w, yield: yield, due: make(map[int][]extra)}
		s.play()
	}
}

// stream is one playing of the workload.
type stream struct {
	workload *Workload
	yield    func(Item) bool
	dice     dice
	due      map[int][]extra // what comes after an order, by the order's number
	waiting  int             // how much is in due
	broken   int             // how many broken events there were
}

// extra is a second event of an order.
type extra struct {
	order int
	kind  Kind
}

// play stops as soon as whoever listens has heard enough.
func (s *stream) play() {
	w := s.workload
	for i := range min(earlyBy, w.cfg.Orders) {
		if !s.early(i) {
			return
		}
	}
	for i := 0; i < w.cfg.Orders || s.waiting > 0; i++ {
		if i < w.cfg.Orders && !s.place(i) {
			return
		}
		for _, e := range s.due[i] {
			if !s.yield(s.extra(e)) {
				return
			}
		}
		s.waiting -= len(s.due[i])
		delete(s.due, i)
	}
}

// place yields what belongs to order i at once, and notes the rest.
func (s *stream) place(i int) bool {
	w := s.workload
	if i+earlyBy < w.cfg.Orders && !s.early(i+earlyBy) {
		return false
	}
	p := w.plan(&s.dice, i)
	if !s.yield(s.created(i, Created)) {
		return false
	}
	if p.duplicate != never {
		s.later(i+p.duplicate, extra{order: i, kind: Duplicate})
	}
	if p.cancel != never && !p.early {
		s.later(i+p.cancel, extra{order: i, kind: Cancelled})
	}
	if !p.broken {
		return true
	}
	s.broken++
	return s.yield(w.brokenItem(s.broken - 1))
}

// early yields the cancellation of order i if that comes before the order.
func (s *stream) early(i int) bool {
	p := s.workload.plan(&s.dice, i)
	return !p.early || s.yield(s.extra(extra{order: i, kind: Cancelled}))
}

func (s *stream) later(at int, e extra) {
	s.due[at] = append(s.due[at], e)
	s.waiting++
}

func (s *stream) extra(e extra) Item {
	w := s.workload
	if e.kind == Duplicate {
		w.plan(&s.dice, e.order)
		return s.created(e.order, Duplicate)
	}
	at := w.placedAt(e.order).Add(time.Second)
	return item(Cancelled, order.Event{
		ID:         w.eventID(e.order, Cancelled, at),
		Type:       order.Cancelled,
		OrderID:    w.orderID(e.order),
		OccurredAt: at,
	})
}

// created is the event that creates order i; the dice have just been asked for
// the order's plan.
func (s *stream) created(i int, kind Kind) Item {
	w := s.workload
	at := w.placedAt(i)
	return item(kind, order.Event{
		ID:         w.eventID(i, Created, at),
		Type:       order.Created,
		OrderID:    w.orderID(i),
		OccurredAt: at,
		Lines:      w.lines(&s.dice),
	})
}

func item(kind Kind, e order.Event) Item {
	const usual = 256 // bytes of an event of three lines
	return Item{
		Kind:  kind,
		Key:   []byte(e.OrderID),
		Value: order.AppendEvent(make([]byte, 0, usual), e),
		Event: e,
	}
}

// eventID is a UUID of version 7 whose chance is the seed's: time first, so
// that ids sort as events do.
func (w *Workload) eventID(i int, kind Kind, at time.Time) string {
	high := mix(w.cfg.Seed + uint64(kind))
	high = mix(high ^ uint64(i))
	low := mix(high)
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16|high&0x0fff|7<<12)
	binary.BigEndian.PutUint64(id[8:], low&(1<<62-1)|2<<62)
	var text [36]byte
	hex.Encode(text[:8], id[:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:], id[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
