// Package replay publishes messages of the log again: first it says what that
// would do, then it does it, and it stops by itself when it goes wrong.
//
// # Parts
//
// A [Source] yields messages in one fixed order: a part of a topic, or a list of
// places such as dead letters (source.go, lane.go). The simulation (simulate.go)
// takes them through package stock's own decisions, over the part of the database
// they touch, and gives each a [Class] (step.go, class.go). A [Plan] is what comes of that when
// nothing is published (plan.go). Execution (execute.go) takes the same messages
// through the same simulation, publishes those whose class is published, in stages
// (ramp.go), and keeps what it has done in a row that survives it (object.go).
//
// The order is that of the messages' times, and within a partition that of the
// offsets. A consumer group works on partitions side by side, so where goods are
// short it may come out that another order gets them than the plan has named; a
// goods of which all that is wanted is there comes out exactly. The plan says
// which goods are which.
//
// # Memory
//
// Nothing grows with the number of messages: they pass in chunks, and what the
// simulation has to remember about orders stands in a file (shelf.go). Levels are
// kept in memory, about 150 bytes for each goods that is touched.
package replay

import (
	"cmp"
	"fmt"
	"slices"
)

// Range is a part of one partition: offsets From up to, but not including, To.
type Range struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
}

// Messages is the number of offsets in the range; the log may hold fewer
// messages, where it has gaps.
func (r Range) Messages() int64 { return max(0, r.To-r.From) }

// String is topic/partition [from,to).
func (r Range) String() string {
	return fmt.Sprintf("%s/%d [%d,%d)", r.Topic, r.Partition, r.From, r.To)
}

// overlaps is true when some message is in both. An empty range has none.
func (r Range) overlaps(o Range) bool {
	return r.Topic == o.Topic && r.Partition == o.Partition && max(r.From, o.From) < min(r.To, o.To)
}

// Total is the number of offsets in all ranges.
func Total(ranges []Range) int64 {
	n := int64(0)
	for _, r := range ranges {
		n += r.Messages()
	}
	return n
}

// byPlace orders ranges by topic, partition and offset.
func byPlace(a, b Range) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.From, b.From))
}

// Overlap returns two ranges of the lists that share a message, the first by topic,
// partition and offset. Ranges of one list do not overlap. The time it takes grows
// with the lists and not with their product: a replay of single messages has many
// ranges, and others wait while it is recorded.
func Overlap(a, b []Range) (Range, Range, bool) {
	a, b = slices.SortedFunc(slices.Values(a), byPlace), slices.SortedFunc(slices.Values(b), byPlace)
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].overlaps(b[0]):
			return a[0], b[0], true
		case a[0].endsBefore(b[0]):
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return Range{}, Range{}, false
}

// endsBefore is true when the range ends before the other does, by topic, partition
// and offset.
func (r Range) endsBefore(o Range) bool {
	return cmp.Or(cmp.Compare(r.Topic, o.Topic), cmp.Compare(r.Partition, o.Partition), cmp.Compare(r.To, o.To)) < 0
}
