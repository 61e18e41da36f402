package sim

import "slices"

// chapter is one event of an order in the input.
type chapter struct {
	event  string
	spot   spot
	origin string
}

// checkTales: whoever reads what became of an order reads it in the order in
// which it was told: of two events in one partition the first has its first
// outcome before the second has one. An event that was sent to a retry tier waits
// there, and the next one does not wait for it.
func (t *topics) checkTales(w *world) {
	away := t.sentAway()
	for order, tale := range t.tales {
		slices.SortFunc(tale, func(a, b chapter) int {
			if a.spot.place != b.spot.place {
				return a.spot.place.partition - b.spot.place.partition
			}
			return int(a.spot.offset - b.spot.offset)
		})
		first := tale[:0]
		for _, c := range tale {
			if !slices.ContainsFunc(first, func(f chapter) bool { return f.event == c.event }) {
				first = append(first, c)
			}
		}
		for i := 1; i < len(first); i++ {
			a, b := first[i-1], first[i]
			former, latter := t.outcome(a.event), t.outcome(b.event)
			if a.spot.place != b.spot.place || away[a.event] || away[b.event] || former == nil || latter == nil {
				continue
			}
			w.reached.mark("outcomes of one order")
			if former.place != latter.place || former.offset > latter.offset {
				w.wrong("order %s: event %s came before %s, and the outcomes stand at %v and %v", order, a.event, b.event, *former, *latter)
			}
		}
	}
}

// sentAway are the events of which a copy stands in a retry tier or among the dead
// letters.
func (t *topics) sentAway() map[string]bool {
	away := make(map[string]bool)
	for _, tale := range t.tales {
		for _, c := range tale {
			if len(t.ends[c.origin]) > 0 { // by origin there are copies alone
				away[c.event] = true
			}
		}
	}
	return away
}

// outcome is where the first outcome of an event stands; nil if it has none.
func (t *topics) outcome(event string) (first *spot) {
	for _, s := range t.ends[event] {
		if first == nil || s.offset < first.offset {
			first = &s
		}
	}
	return first
}
