package sim

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// removedEvery is how often a world has an epilogue in which messages are removed
// before anybody has read them. It comes when everything else has been examined:
// orders are lost in it, as they should.
const removedEvery = 4

// retention is what the epilogue knows of messages that were removed unread.
type retention struct {
	removed atomic.Int64 // 0: none were
	told    atomic.Int64 // how many instances said were lost
}

// epilogue removes messages that are not settled. An instance that comes to them
// has to stop and say so, and must not commit an offset beyond them.
func (w *world) epilogue(ctx context.Context, shop *kafka.Client) error {
	if w.plan.seed%removedEvery != 1 {
		return nil
	}
	at, committed, err := w.publishUnread(ctx, shop)
	if err != nil || committed < 0 {
		return err
	}
	end := w.cluster.PartitionInfo(at.topic, int32(at.partition)).HighWatermark
	w.retention.removed.Store(end - committed)
	err = w.cluster.DeleteRecords(at.topic, int32(at.partition), end)
	if err != nil {
		return fmt.Errorf("remove messages of %v: %w", at, err)
	}
	i := w.newSlot().now()
	select {
	case <-i.done:
	case <-time.After(recoverWithin):
		i.stop()
		<-i.done
	}
	if !errors.Is(i.ended, kafka.ErrDataLoss) || w.retention.told.Load() != end-committed {
		w.wrong("%d messages of %v were removed unread; %s said %d, and ended with %v", end-committed, at, i.name, w.retention.told.Load(), i.ended)
	}
	if now := w.witness.last(at); now > committed {
		w.wrong("%d messages of %v were removed unread, and offset %d was committed after %d", end-committed, at, now, committed)
	}
	w.reached.mark("stopped because messages were removed unread")
	return nil
}

// publishUnread appends orders that nobody reads, and returns a partition with some
// of them that the group has committed an offset of; none: -1.
func (w *world) publishUnread(ctx context.Context, shop *kafka.Client) (at place, committed int64, err error) {
	const orders = 8
	publisher := shop.NewPublisher(nil)
	defer publisher.Close() //nolint:errcheck // never fails
	var unread []order.Message
	for n := range orders {
		unread = append(unread, created(fmt.Sprintf("unread-%d", n), "e1", stock.Line{Goods: "nowhere", Num: 1}))
	}
	err = publishAll(ctx, publisher, unread)
	if err != nil {
		return at, 0, err
	}
	for _, p := range w.cluster.PartitionInfos(input) {
		at = place{input, int(p.Partition)}
		committed = w.witness.last(at)
		if committed > 0 && committed < p.HighWatermark {
			return at, committed, nil
		}
	}
	return at, -1, nil
}
