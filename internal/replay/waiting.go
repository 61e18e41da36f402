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
	folder string
	shelf  *shelf
}

// NewWaiting knows the orders whose create stands in the ranges: what the group
// has not settled yet of its retry tiers, and its dead letters. They are read
// when the first question comes, which for most selections is never; an answer is
// a look-up then. Close gives its files back.
func NewWaiting(log Reader, ranges []Range, folder string) interface {
	Waiting
	Close()
} {
	return &waitingRanges{log: log, ranges: ranges, folder: folder}
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
			return shelf.put(memory{record: stock.Record{Order: event.OrderID}, waits: m.Topic})
		})
		if err != nil {
			shelf.close()
			return fmt.Errorf("look for orders that wait in %s: %w", r.Topic, err)
		}
	}
	w.shelf = shelf
	return nil
}
