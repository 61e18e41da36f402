// Package crash names the points of an order's path at which a process may die
// with something half done, and dies there on demand. Drills, fault tests and
// the simulator use it; where nobody asks for a crash a point costs one
// comparison.
package crash

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// Point is a place in the path of an order, named by what has just happened or
// is about to.
type Point string

// The points, in the order in which an event passes them.
const (
	// AfterFetch: an event was read, and nothing else.
	AfterFetch Point = "after_fetch"
	// AfterLock: goods were locked in Redis, the transaction has not begun.
	AfterLock Point = "after_lock"
	// InTx: the transaction has written orders, but neither movements nor
	// levels.
	InTx Point = "in_tx"
	// BeforeCommit: everything is written, COMMIT is not sent.
	BeforeCommit Point = "before_commit"
	// AfterCommit: the database has confirmed the transaction, nothing was
	// published.
	AfterCommit Point = "after_commit"
	// AfterPublish: the log has confirmed outcomes, retries and dead letters, and
	// no event counts as done.
	AfterPublish Point = "after_publish"
	// BeforeOffsetCommit: events are done, their offset is about to be
	// committed.
	BeforeOffsetCommit Point = "before_offset_commit"
	// AfterOffsetCommit: the offset is committed.
	AfterOffsetCommit Point = "after_offset_commit"
)

// Points are all of them, in the order of the path.
func Points() []Point {
	return []Point{
		AfterFetch, AfterLock, InTx, BeforeCommit, AfterCommit, AfterPublish, BeforeOffsetCommit, AfterOffsetCommit,
	}
}

// Hook is called at every passing of every point, from many goroutines. It may
// never return, and it may panic. One that returns lets the work go on, so
// whoever plays the death of an instance inside a process first cuts everything
// off that the instance could still reach.
type Hook func(Point)

// At calls the hook, if there is one.
func (h Hook) At(p Point) {
	if h != nil {
		h(p)
	}
}

// Deed is what a process does to itself.
type Deed string

const (
	// Kill ends the process at once, as kill -9 does.
	Kill Deed = "kill"
	// Stop freezes the process until somebody sends SIGCONT.
	Stop Deed = "stop"
	// Panic panics in the goroutine that passes the point.
	Panic Deed = "panic"
)

func deeds() []Deed { return []Deed{Kill, Stop, Panic} }

// Plan is one crash to come. The zero value is none.
type Plan struct {
	Point Point
	// Passing is the passing of the point that does it; the first is 1.
	Passing int64
	Deed    Deed
}

// ErrPlan is wrapped by every error of Parse.
var ErrPlan = errors.New("no plan of a crash")

// Parse reads "point:N" or "point:N:deed"; the deed is kill if not given. Empty
// text is no crash.
func Parse(text string) (Plan, error) {
	if text == "" {
		return Plan{}, nil
	}
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return Plan{}, fmt.Errorf("%w: %q, want point:N or point:N:deed", ErrPlan, text)
	}
	p := Plan{Point: Point(parts[0]), Deed: Kill}
	if !slices.Contains(Points(), p.Point) {
		return Plan{}, fmt.Errorf("%w: there is no point %q; points: %v", ErrPlan, parts[0], Points())
	}
	var err error
	p.Passing, err = strconv.ParseInt(parts[1], 10, 64)
	if err != nil || p.Passing < 1 {
		return Plan{}, fmt.Errorf("%w: passing %q is not a number from 1", ErrPlan, parts[1])
	}
	if len(parts) == 3 {
		p.Deed = Deed(parts[2])
	}
	if !slices.Contains(deeds(), p.Deed) {
		return Plan{}, fmt.Errorf("%w: there is no deed %q; deeds: %v", ErrPlan, p.Deed, deeds())
	}
	return p, nil
}

// String is what Parse reads.
func (p Plan) String() string {
	if p.Point == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d:%s", p.Point, p.Passing, p.Deed)
}

// Hook does the deed at the planned passing; nil when nothing is planned.
func (p Plan) Hook() Hook {
	if p.Point == "" {
		return nil
	}
	var passed atomic.Int64
	return func(at Point) {
		if at == p.Point && passed.Add(1) == p.Passing {
			p.Deed.do(at)
		}
	}
}
