package replay

import (
	"context"
	"fmt"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// waitingRanges finds the creates that stand in some ranges of the log.
type waitingRanges struct {
	log    Reader
	ranges []Range
	replay string
	folder string
	shelf  *shelf
}

// NewWaiting knows the orders whose create stands in the ranges: what the group
// has not settled yet of its retry tiers, and its dead letters. They are read
// when the first question comes, which for most selections is never; an answer is
// a look-up then. Close gives its files back.
//
// id is the replay that asks; empty for one that has published nothing. An order
// whose create it has published itself does not wait: that is what it has done
// before it was stopped, and the cancel follows in the same topic, behind the
// create, wherever another copy of that stands.
func NewWaiting(log Reader, ranges []Range, id, folder string) interface {
	Waiting
	Close()
} {
	return &waitingRanges{log: log, ranges: ranges, replay: id, folder: folder}
}

// Where implements Waiting.
func (w *waitingRanges) Where(ctx context.Context, id string) (string, error) {
	if w.shelf == nil {
		if err := w.read(ctx); err != nil {
			return "", err
		}
	}
	m, _, err := w.shelf.get(id)
	return m.waits, err
}

// Close implements the interface that NewWaiting returns.
func (w *waitingRanges) Close() {
	if w.shelf != nil {
		w.shelf.close()
	}
}

func (w *waitingRanges) read(ctx context.Context) error {
	shelf, err := newShelf(w.folder, Total(w.ranges))
	if err != nil {
		return err
	}
	for _, r := range w.ranges {
		if r.Messages() == 0 {
			continue
		}
		err = w.log.Scan(ctx, r, func(m order.Message) error {
			event, fault := order.Decode(&m)
			if fault != nil || event.Type != order.Created {
				return nil //nolint:nilerr // what is no create does not wait
			}
			return w.keep(shelf, event.OrderID, &m)
		})
		if err != nil {
			shelf.close()
			return fmt.Errorf("look for orders that wait in %s: %w", r.Topic, err)
		}
	}
	w.shelf = shelf
	return nil
}

// keep remembers one create. One that this replay has published counts for more
// than any other of the order.
func (w *waitingRanges) keep(shelf *shelf, id string, m *order.Message) error {
	found := memory{record: stock.Record{Order: id}, waits: m.Topic}
	if w.replay == "" {
		return shelf.put(found)
	}
	if order.ParseDelivery(m).ReplayID == w.replay {
		found.waits = ""
		return shelf.put(found)
	}
	known, ok, err := shelf.get(id)
	if err != nil || ok && known.waits == "" {
		return err
	}
	return shelf.put(found)
}
