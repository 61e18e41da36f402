package kafka

import (
	"errors"
	"fmt"
)

// ErrUnreadable: the log has something that cannot be decoded. It is not passed over:
// it may be an event.
var ErrUnreadable = errors.New("messages cannot be decoded")

// garbledMost is how often in a row what comes for an offset may not be decoded. On its
// way it is garbled once, in the log for ever.
const garbledMost = 3

// doubt is what is suspected of an offset that is asked for again and again.
type doubt struct {
	offset  int64
	garbled int
}

// about makes err one of the log itself when it is that for the last time.
func (d *doubt) about(next int64, err error) error {
	if !errors.Is(err, errGarbled) {
		return err
	}
	if d.garbled == 0 || d.offset != next {
		*d = doubt{offset: next}
	}
	d.garbled++
	if d.garbled < garbledMost {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreadable, err)
}
