package replay

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// Filter chooses messages. What is empty lets everything pass; what is not has
// to pass all of it.
type Filter struct {
	// Orders and Goods are ids, Types are types of events. A message passes that has
	// one of each list. A cancel has no goods of its own: it passes with those that
	// its order is known to have.
	Orders []string `json:"orders,omitempty"`
	Goods  []string `json:"goods,omitempty"`
	Types  []string `json:"types,omitempty"`
	// Headers must all be there with the value.
	Headers []HeaderFilter `json:"headers,omitempty"`
}

// HeaderFilter wants a header with a value.
type HeaderFilter struct {
	Name string `json:"name"`
	// Value is compared byte for byte; one that ends with * wants the beginning.
	Value string `json:"value"`
}

// filterCode is the word for the code of a dead letter in a filter.
const filterCode = "code"

// ParseHeaderFilter reads NAME=VALUE. The name code stands for the error code of
// dead letters and retries.
func ParseHeaderFilter(text string) (HeaderFilter, error) {
	name, value, found := strings.Cut(text, "=")
	if !found || name == "" {
		return HeaderFilter{}, fmt.Errorf("filter %q: want HEADER=VALUE or code=CODE; a value that ends with * wants the beginning", text)
	}
	if name == filterCode {
		name = order.HeaderErrorCode
	}
	return HeaderFilter{Name: name, Value: value}, nil
}

// String is how the filter was written.
func (f HeaderFilter) String() string { return f.Name + "=" + f.Value }

// All is true for a filter that lets everything pass.
func (f *Filter) All() bool {
	return len(f.Orders)+len(f.Goods)+len(f.Types)+len(f.Headers) == 0
}

// passes is all that can be said without the database. The event is what could be
// read of the message. A cancel is let through on goods: see passesGoods.
func (f *Filter) passes(m *order.Message, e *order.Event) bool {
	if len(f.Orders) > 0 {
		id := e.OrderID
		if id == "" { // a broken event; its key is its order by contract
			id = string(m.Key)
		}
		if !slices.Contains(f.Orders, id) {
			return false
		}
	}
	if len(f.Types) > 0 && !slices.Contains(f.Types, string(e.Type)) {
		return false
	}
	if len(f.Goods) > 0 && e.Type != order.Cancelled && !f.hasGoods(e.Lines) {
		return false
	}
	return !slices.ContainsFunc(f.Headers, func(h HeaderFilter) bool { return !h.passes(m) })
}

func (f HeaderFilter) passes(m *order.Message) bool {
	value, ok := m.Header(f.Name)
	if begin, prefix := strings.CutSuffix(f.Value, "*"); prefix {
		return ok && bytes.HasPrefix(value, []byte(begin))
	}
	return ok && string(value) == f.Value
}

// passesGoods asks for the goods of a cancel: those of its order, if it is
// known, else those it names itself.
func (f *Filter) passesGoods(e *order.Event, known *stock.Record) bool {
	if len(f.Goods) == 0 || e.Type != order.Cancelled {
		return true
	}
	return f.hasGoods(e.Lines) || known != nil && f.hasGoods(known.Lines)
}

func (f *Filter) hasGoods(lines []stock.Line) bool {
	return slices.ContainsFunc(lines, func(l stock.Line) bool { return slices.Contains(f.Goods, l.Goods) })
}
