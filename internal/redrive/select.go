package redrive

import (
	"cmp"
	"slices"
	"time"
)

// Filter chooses letters: those that have one of each list that is not empty.
type Filter struct {
	IDs    []ID
	Causes []string // a cause, or a code with all its causes
	Orders []string
	Types  []string
	States []State
}

// passes is true for a letter that the filter wants.
func (f *Filter) passes(l *Letter) bool {
	return has(f.IDs, l.ID) && has(f.Orders, l.Order) && has(f.Types, string(l.Type)) && has(f.States, l.State) &&
		(len(f.Causes) == 0 || slices.Contains(f.Causes, l.Cause) || slices.Contains(f.Causes, l.Code))
}

func has[T comparable](list []T, one T) bool { return len(list) == 0 || slices.Contains(list, one) }

// Select returns the letters that the filter wants, in the order of their places.
func (b *Box) Select(f Filter) []*Letter {
	var chosen []*Letter
	for i := range b.Letters {
		if f.passes(&b.Letters[i]) {
			chosen = append(chosen, &b.Letters[i])
		}
	}
	return chosen
}

// Group is the letters of one cause.
type Group struct {
	Cause   string
	Code    string
	Letters int
	Orders  int // different ones
	First   time.Time
	Last    time.Time
	Example *Letter // the youngest
	// Again counts those that have been redriven before and have failed again.
	Again int
}

// Groups are the letters by cause, the most frequent first.
func Groups(letters []*Letter) []Group {
	groups := make(map[string]*Group)
	orders := make(map[string]map[string]bool)
	for _, l := range letters {
		g := groups[l.Cause]
		if g == nil {
			g = &Group{Cause: l.Cause, Code: l.Code, First: l.At, Last: l.At, Example: l}
			groups[l.Cause] = g
			orders[l.Cause] = make(map[string]bool)
		}
		g.Letters++
		orders[l.Cause][l.Order] = true
		if l.Replays > 0 {
			g.Again++
		}
		if l.At.Before(g.First) {
			g.First = l.At
		}
		if !l.At.Before(g.Last) {
			g.Last, g.Example = l.At, l
		}
	}
	list := make([]Group, 0, len(groups))
	for cause, g := range groups {
		g.Orders = len(orders[cause])
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Cause, b.Cause))
	})
	return list
}
