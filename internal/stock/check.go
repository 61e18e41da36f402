package stock

import (
	"fmt"
	"time"
	"unicode/utf8"
)

const (
	// MaxIDBytes bounds an order reference and a goods id: the width of the
	// key columns. It is counted in bytes, because ids are compared as bytes.
	MaxIDBytes = 64

	// MaxAvailable bounds what a restock or a correction may bring a level to:
	// the largest integer every JSON reader keeps exact (2^53 - 1). A release is
	// never refused, so outstanding orders may lift a level above it; an int64
	// has room for nine thousand million of the largest orders on top, so level
	// arithmetic does not overflow.
	MaxAvailable = 1<<53 - 1
)

// Check reports whether the request keeps what [Request] promises about its
// fields. The error wraps [ErrInvalid]. A request that breaks the promise must
// not reach the tables: the same goods twice would collide with itself there,
// and a collision reads as "another instance was here first".
func (r *Request) Check() error {
	if err := checkID("order", r.Order); err != nil {
		return err
	}
	switch r.Action {
	case Release:
		return nil
	case Deduct:
		if len(r.Lines) == 0 {
			return fmt.Errorf("%w: order %q deducts nothing", ErrInvalid, r.Order)
		}
		if err := checkLines(r.Lines, 1); err != nil {
			return fmt.Errorf("order %q: %w", r.Order, err)
		}
		return nil
	default:
		return fmt.Errorf("%w: order %q has action %d", ErrInvalid, r.Order, r.Action)
	}
}

// checkLines wants goods in strictly rising order and every Num at least least.
func checkLines(lines []Line, least int64) error {
	for i, line := range lines {
		if err := checkID("goods", line.Goods); err != nil {
			return err
		}
		if line.Num < least {
			return fmt.Errorf("%w: goods %q has num %d, the least is %d", ErrInvalid, line.Goods, line.Num, least)
		}
		if i > 0 && lines[i-1].Goods >= line.Goods {
			return fmt.Errorf("%w: goods %q does not come after %q", ErrInvalid, line.Goods, lines[i-1].Goods)
		}
	}
	return nil
}

// checkID refuses broken UTF-8 as well: lines are kept as JSON text, in which
// two different broken ids would become the same one.
func checkID(what, id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: empty %s id", ErrInvalid, what)
	case len(id) > MaxIDBytes:
		return fmt.Errorf("%w: %s id of %d bytes, the most is %d", ErrInvalid, what, len(id), MaxIDBytes)
	case !utf8.ValidString(id):
		return fmt.Errorf("%w: %s id %q is not UTF-8", ErrInvalid, what, id)
	}
	return nil
}

// moment brings a time to what the database keeps: UTC, whole milliseconds.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
