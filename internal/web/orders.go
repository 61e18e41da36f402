package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// orderAnswer is one order as it is shown. Its words are those of the events.
type orderAnswer struct {
	OrderID    string        `json:"order_id"`
	State      stock.State   `json:"state"`
	Items      []itemAnswer  `json:"items"`
	Short      []shortAnswer `json:"short"`
	Origin     originAnswer  `json:"origin"`
	Attempts   int           `json:"attempts"`
	DecidedAt  string        `json:"decided_at"`
	ReleasedAt string        `json:"released_at,omitempty"`
}

type itemAnswer struct {
	GoodsID string `json:"goods_id"`
	Num     int64  `json:"num"`
}

type shortAnswer struct {
	GoodsID   string `json:"goods_id"`
	Wanted    int64  `json:"wanted"`
	Available int64  `json:"available"`
}

type originAnswer struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
}

// getOrder answers GET /v1/orders/{order_id}.
func (s *Server) getOrder(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("order_id") // decoded exactly once: a%2Fb is the order a/b
	if err := checkID("order_id", id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.LookupTimeout)
	defer cancel()
	record, err := s.deps.Orders.Lookup(ctx, id)
	if errors.Is(err, stock.ErrNotFound) {
		return newProblem(http.StatusNotFound, "order_unknown", fmt.Sprintf("no order %q has been decided", id))
	}
	if err != nil {
		return fmt.Errorf("look up order %q: %w", id, err)
	}
	return writeJSON(w, newOrderAnswer(record))
}

// newOrderAnswer shows lists that are empty as such and never as null.
func newOrderAnswer(r stock.Record) orderAnswer {
	a := orderAnswer{
		OrderID:    r.Order,
		State:      r.State,
		Items:      make([]itemAnswer, len(r.Lines)),
		Short:      make([]shortAnswer, len(r.Shortages)),
		Origin:     originAnswer{r.Origin.Topic, r.Origin.Partition, r.Origin.Offset},
		Attempts:   r.Attempts,
		DecidedAt:  instant(r.DecidedAt),
		ReleasedAt: instant(r.ReleasedAt),
	}
	for i, l := range r.Lines {
		a.Items[i] = itemAnswer{l.Goods, l.Num}
	}
	for i, l := range r.Shortages {
		a.Short[i] = shortAnswer{l.Goods, l.Wanted, l.Available}
	}
	return a
}

// instant writes a time as the events do, always with its milliseconds, and
// nothing for no time.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(order.TimeFormat)
}
