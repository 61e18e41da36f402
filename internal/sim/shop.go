package sim

import (
	"context"
	"fmt"
	"time"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/workload"
)

// Ids of orders that are not of the workload.
const (
	strangerPrefix = "stranger-"
	conflictPrefix = "conflict-"
)

// sell publishes everything, as a shop does: in order, again and again until the
// log has confirmed it.
func (w *world) sell(ctx context.Context, shop *kafka.Client) error {
	publisher := shop.NewPublisher(nil)
	defer publisher.Close() //nolint:errcheck // never fails
	events := w.events()
	const chunk = 10
	pause := w.plan.pace / time.Duration(1+len(events)/chunk)
	for len(events) > 0 {
		n := min(chunk, len(events))
		err := publishAll(ctx, publisher, events[:n])
		if err != nil {
			return err
		}
		events = events[n:]
		time.Sleep(pause)
	}
	w.sent = w.load.Expect().Events()
	return w.sellAgain(ctx, publisher)
}

// events are the messages of the workload with strangers and conflicts among
// them.
func (w *world) events() []order.Message {
	var events []order.Message
	for item := range w.load.Events() {
		events = append(events, message(item.Key, item.Value))
	}
	spread := func(n int, extra order.Message) {
		at := int(mix(w.plan.seed, n)) % (len(events) + 1)
		events = append(events[:at], append([]order.Message{extra}, events[at:]...)...)
	}
	for n := range w.plan.strangers {
		spread(n, created(fmt.Sprintf("%s%d", strangerPrefix, n), "e1", stock.Line{Goods: "nowhere", Num: 1}))
	}
	known := fmt.Sprintf("%s%d", workload.DefaultGoodsPrefix, w.plan.load.Goods)
	for n := range w.plan.conflicts {
		id := fmt.Sprintf("%s%d", conflictPrefix, n)
		spread(n, created(id, "e1", stock.Line{Goods: known, Num: 1}))
		spread(n+1, created(id, "e2", stock.Line{Goods: known, Num: 2}))
	}
	return events
}

// mix makes a place of a seed and a number.
func mix(seed uint64, n int) uint32 {
	x := (seed+1)*0x9e3779b97f4a7c15 + uint64(n)*0xbf58476d1ce4e5b9
	return uint32(x >> 33)
}

// created is an event of an order that is not of the workload.
func created(id, event string, line stock.Line) order.Message {
	e := order.Event{ID: id + event, Type: order.Created, OrderID: id, OccurredAt: epoch, Lines: []stock.Line{line}}
	return message([]byte(id), order.AppendEvent(nil, e))
}

func message(key, value []byte) order.Message {
	return order.Message{Topic: input, Key: key, Value: value}
}

// sellAgain publishes a part of the events once more, when all have been: a
// replay.
func (w *world) sellAgain(ctx context.Context, publisher *kafka.Publisher) error {
	var again []order.Message
	n := 0
	for item := range w.load.Events() {
		if n++; item.Kind != workload.Broken && float64(mix(w.plan.seed, n)%1000) < 1000*w.plan.again {
			again = append(again, message(item.Key, item.Value))
		}
	}
	return publishAll(ctx, publisher, again)
}

func publishAll(ctx context.Context, publisher *kafka.Publisher, messages []order.Message) error {
	const pause = 100 * time.Millisecond
	for len(messages) > 0 {
		unconfirmed, err := publisher.Publish(ctx, messages)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		messages = unconfirmed
		time.Sleep(pause)
	}
	return nil
}
