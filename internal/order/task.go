package order

import (
	"runtime/debug"
	"time"

	"orderconsumer/internal/stock"
)

// Marker is told when the event at an offset is settled, so that its
// partition's watermark can move. It is called once for each event, from any
// goroutine.
type Marker interface {
	Done(offset int64)
}

// task is one event on its way from the log to its settlement. It has one
// owner at a time: the reader until it is submitted, the scheduler while it
// waits, the worker that took its batch, and last the settler.
type task struct {
	message  Message
	delivery Delivery
	event    Event
	fault    error           // why the event cannot be used at all; nil for a good one
	decision *stock.Decision // what the ledger answered; set by the worker
	failure  error           // why there is no decision; set by the worker
	doubt    bool            // a COMMIT of it was never answered; set by the worker
	marker   Marker
	bytes    int       // what it costs while it waits
	since    time.Time // when it was submitted, by the monotonic clock
	taken    bool      // the walk under way takes it; the scheduler's own
}

// newTask decodes a message. It never fails: an event that cannot be used is a
// task with a fault, because it needs an end like every other. now is the wall
// clock's, which the event's age is taken by.
func newTask(m Message, marker Marker, now time.Time, horizon time.Duration) *task {
	t := &task{message: m, marker: marker, since: time.Now()}
	t.delivery = ParseDelivery(&t.message)
	t.read(Decode, now, horizon)
	if t.fault != nil {
		t.event.Lines = nil
	}
	t.bytes = len(m.Key) + len(m.Value)
	for i := range m.Headers {
		t.bytes += len(m.Headers[i].Key) + len(m.Headers[i].Value)
	}
	return t
}

// read decodes the message, with a net: what comes from outside must not end the
// process, which would read the same message again and end again, and after it each
// instance that gets the partition.
func (t *task) read(decode func(*Message) (Event, error), now time.Time, horizon time.Duration) {
	defer func() {
		if value := recover(); value != nil {
			t.fault = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	t.event, t.fault = decode(&t.message)
	if t.fault == nil {
		t.fault = CheckHorizon(horizon, EventTime(&t.message, &t.delivery, &t.event), now)
	}
}

// request is what the event asks of the stock.
func (t *task) request() stock.Request {
	r := stock.Request{
		Order:   t.event.OrderID,
		Action:  stock.Deduct,
		Lines:   t.event.Lines,
		Origin:  t.delivery.Origin,
		Attempt: t.delivery.Attempt,
	}
	if t.event.Type == Cancelled {
		r.Action, r.Lines = stock.Release, nil
	}
	return r
}
