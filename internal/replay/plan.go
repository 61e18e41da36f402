package replay

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Plan says what a replay would do. It is a simulation of every message in the
// order of the source, not an estimate; what it cannot know is what others do to
// the database meanwhile.
type Plan struct {
	// AsOf is when the simulation began to read the database.
	AsOf time.Time `json:"as_of"`
	// Scanned messages were read, Selected of them passed the filter, Publish of
	// those would be published.
	Scanned  int64 `json:"scanned"`
	Selected int64 `json:"selected"`
	Publish  int64 `json:"publish"`
	// Unsettled of those the group has not settled yet where they stand: it is going
	// to read them in any case, and what is said of them comes about without a replay.
	Unsettled int64 `json:"unsettled"`
	// Classes are those that occur, in a fixed order.
	Classes []ClassCount `json:"classes"`
	// Goods are those whose level would change or that would be short, by id.
	Goods []GoodsChange `json:"goods"`
	// Contested counts the goods of which more is wanted than there is.
	Contested int           `json:"contested"`
	Took      time.Duration `json:"-"`
}

// ClassCount is how many messages are of a class, and the first of them.
type ClassCount struct {
	Class     Class  `json:"class"`
	Messages  int64  `json:"messages"`
	Published bool   `json:"published"`
	Example   string `json:"example"` // topic/partition@offset
	OrderID   string `json:"order_id,omitempty"`
	Detail    string `json:"detail,omitempty"`
}

// GoodsChange is what would become of one goods.
type GoodsChange struct {
	GoodsID  string `json:"goods_id"`
	Before   int64  `json:"before"`
	After    int64  `json:"after"`
	Deducted int64  `json:"deducted"`
	Released int64  `json:"released"`
	Orders   int64  `json:"orders"` // deductions and releases
	// Contested: the orders that are not known want more of it than there is.
	// Partitions are worked on side by side, so others of them may get it than the
	// simulation says, and the levels of their other goods differ with that. Where
	// nothing is contested, After is exact.
	Contested bool `json:"contested"`
}

// NoEffect is true when no row of the database would change.
func (p *Plan) NoEffect() bool {
	return !slices.ContainsFunc(p.Classes, func(c ClassCount) bool {
		return c.Published && !c.Class.effectless()
	})
}

// Count is how many messages are of a class.
func (p *Plan) Count(class Class) int64 {
	for _, c := range p.Classes {
		if c.Class == class {
			return c.Messages
		}
	}
	return 0
}

// Planner makes plans.
type Planner struct {
	Source Source
	Rules  Rules
	View   View
	// Settled is how far the group has come in the topics of the source; it knows
	// nothing of topics that the group does not read. May be nil.
	Settled Positions
	// Visit is told about every selected message, in the order of the source; may
	// be nil.
	Visit func(*Step) error
	// Progress is told how many messages have been read; may be nil.
	Progress func(scanned int64)
}

// Plan runs the simulation. It changes nothing.
func (p *Planner) Plan(ctx context.Context) (*Plan, error) {
	began := time.Now()
	sim, err := newSimulation(p.Rules, p.View, Total(p.Source.Ranges()))
	if err != nil {
		return nil, err
	}
	defer sim.close()
	plan := &Plan{AsOf: p.Rules.Now().UTC().Truncate(time.Millisecond)}
	counts := make(map[Class]*ClassCount)
	err = sim.stream(ctx, p.Source, Positions{}, false, func(_ context.Context, c *chunk) error {
		plan.Scanned += c.scanned
		for i := range c.steps {
			if err := p.take(plan, counts, &c.steps[i]); err != nil {
				return err
			}
		}
		if p.Progress != nil {
			p.Progress(plan.Scanned)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, known := range classes {
		if c := counts[known.class]; c != nil {
			plan.Classes = append(plan.Classes, *c)
		}
	}
	plan.Goods = sim.changes()
	for i := range plan.Goods {
		if plan.Goods[i].Contested {
			plan.Contested++
		}
	}
	plan.Took = time.Since(began)
	return plan, nil
}

// take counts one step.
func (p *Planner) take(plan *Plan, counts map[Class]*ClassCount, step *Step) error {
	plan.Selected++
	c := counts[step.Class]
	if c == nil {
		c = &ClassCount{Class: step.Class, Published: step.Class.Published(),
			Example: Place(&step.Message), OrderID: step.Event.OrderID, Detail: step.Detail}
		counts[step.Class] = c
	}
	c.Messages++
	if c.Published {
		plan.Publish++
		if settled, reads := p.Settled[step.Message.Topic][step.Message.Partition]; reads && step.Message.Offset >= settled {
			plan.Unsettled++
		}
	}
	if p.Visit == nil {
		return nil
	}
	return p.Visit(step)
}

// changes are the goods about which there is something to say.
func (s *simulation) changes() []GoodsChange {
	changed := []GoodsChange{}
	for _, id := range slices.Sorted(maps.Keys(s.levels)) {
		g := s.levels[id]
		contested := g.wanted > g.before
		if g.unknown || g.orders == 0 && !contested {
			continue
		}
		changed = append(changed, GoodsChange{
			GoodsID: id, Before: g.before, After: g.level,
			Deducted: g.deducted, Released: g.released, Orders: g.orders, Contested: contested,
		})
	}
	return changed
}
