package replay

import (
	"fmt"
	"strconv"
	"strings"
)

// Ramp is the sizes of the stages in which messages are published: after each one
// the replay waits until all of it is settled, and looks at what came of it. The
// last stage takes the rest. An empty ramp is published without looking.
type Ramp []int64

// rampRest is the last stage in a text.
const rampRest = "rest"

// DefaultRamp finds a mistake at the price of one message.
func DefaultRamp() Ramp { return Ramp{1, 10, 100} }

// rampNone is an empty ramp in a text.
const rampNone = "none"

// ParseRamp reads sizes that end with rest: 1,10,100,rest. The word none stands
// for no ramp at all.
func ParseRamp(text string) (ramp Ramp, staged bool, err error) {
	if text == rampNone {
		return nil, false, nil
	}
	parts := strings.Split(text, ",")
	last := len(parts) - 1
	if strings.TrimSpace(parts[last]) != rampRest {
		return nil, false, fmt.Errorf("ramp %q: want sizes that end with rest, as 1,10,100,rest, or none", text)
	}
	for _, part := range parts[:last] {
		n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
		if err != nil || n < 1 {
			return nil, false, fmt.Errorf("ramp %q: %q is no size of a stage: want 1 or more messages", text, part)
		}
		ramp = append(ramp, n)
	}
	return ramp, true, nil
}

// String is how the ramp is written.
func (r Ramp) String() string {
	parts := make([]string, 0, len(r)+1)
	for _, n := range r {
		parts = append(parts, strconv.FormatInt(n, 10))
	}
	return strings.Join(append(parts, rampRest), ",")
}

// room is how many messages stage has room for; limited is false for the last.
func (r Ramp) room(stage int) (n int64, limited bool) {
	if stage < len(r) {
		return r[stage], true
	}
	return 0, false
}
