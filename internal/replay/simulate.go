package replay

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// View is the part of the database that a simulation reads. It locks nothing.
type View interface {
	// Records returns what is recorded about the orders that are known.
	Records(ctx context.Context, orders []string) (map[string]stock.Record, error)
	// Levels returns the levels of the goods that are in the catalogue.
	Levels(ctx context.Context, goods []string) (map[string]stock.Level, error)
}

// Waiting knows the orders whose create has been read and is not applied: it
// stands in a retry tier or among the dead letters.
type Waiting interface {
	// Where names the topic in which the order's create waits; empty when it does
	// not wait.
	Where(ctx context.Context, order string) (topic string, err error)
}

// Rules say which messages are taken, and which of them may be published.
type Rules struct {
	Filter Filter
	// TooOld returns an error for an event from before the dedup horizon.
	TooOld func(m *order.Message, d *order.Delivery, e *order.Event) error
	// MaxReplays is how often one message may be replayed in all.
	MaxReplays int
	// MaxBytes is the largest message that may be published.
	MaxBytes int
	// ChangesOnly leaves out what changes nothing.
	ChangesOnly bool
	// Limit ends the selection behind so many messages that are published; zero
	// takes all.
	Limit int64
	// Waiting is asked about cancels of orders that are not known.
	Waiting Waiting
	// Folder takes the files of the simulation; empty means the system's.
	Folder string
	// Now is the time of the decisions.
	Now func() time.Time
}

// simulation takes messages through the decisions of package stock, on a copy of
// what the database holds. What it decides stays in the simulation.
type simulation struct {
	rules  Rules
	view   View
	shelf  *shelf            // orders that the simulation has changed
	levels map[string]*goods // of all goods that were asked for

	published int64 // messages of a class that is published
}

// goods is one goods in the simulation.
type goods struct {
	unknown  bool
	before   int64
	level    int64
	deducted int64
	released int64
	wanted   int64 // by orders that were not known, also by those that were rejected
	orders   int64 // that moved it
}

func newSimulation(rules Rules, view View, orders int64) (*simulation, error) {
	shelf, err := newShelf(rules.Folder, orders)
	if err != nil {
		return nil, err
	}
	return &simulation{rules: rules, view: view, shelf: shelf, levels: make(map[string]*goods)}, nil
}

func (s *simulation) close() { s.shelf.close() }

// begin reads one message. Whatever can be said without the database is said
// here; ok is false for one that the filter does not want.
func (s *simulation) begin(m *order.Message) (step Step, ok bool) {
	step = Step{Message: *m, Delivery: order.ParseDelivery(m)}
	step.Event, step.fault = order.Decode(m)
	if !s.rules.Filter.passes(m, &step.Event) {
		return step, false
	}
	switch {
	case step.Delivery.Truncated != nil:
		step.Class = Incomplete
		step.Detail = fmt.Sprintf("%d bytes are whole at %s", *step.Delivery.Truncated, origin(&step.Delivery))
	case step.fault != nil:
		step.Class, step.Detail = Undecodable, step.fault.Error()
	case step.Delivery.ReplayCount >= s.rules.MaxReplays:
		step.Class = Exhausted
		step.Detail = fmt.Sprintf("%d times, the most is %d", step.Delivery.ReplayCount, s.rules.MaxReplays)
	case s.rules.MaxBytes > 0 && Size(m) > s.rules.MaxBytes:
		step.Class = TooLarge
		step.Detail = fmt.Sprintf("%d bytes, the most is %d", Size(m), s.rules.MaxBytes)
	default:
		if s.rules.TooOld != nil {
			if err := s.rules.TooOld(m, &step.Delivery, &step.Event); err != nil {
				step.Class, step.Detail = TooOld, err.Error()
				return step, true
			}
		}
		step.asks = true
	}
	return step, true
}

func origin(d *order.Delivery) string {
	return fmt.Sprintf("%s/%d@%d", d.Origin.Topic, d.Origin.Partition, d.Origin.Offset)
}

// chunk is some messages on their way through the simulation, with what the
// database says about their orders.
type chunk struct {
	steps   []Step
	records map[string]stock.Record
	fetched map[string]stock.Level // of goods that were not known to the simulation yet
	after   Positions              // where the source stands behind them
	scanned int64                  // messages read for it, wanted or not
	bytes   int
	lines   int
	last    bool // the limit is reached: nothing behind it is taken
}

// fetch asks the database about a chunk. It runs ahead of decide, in another
// goroutine: known says which goods need not be asked for.
func (s *simulation) fetch(ctx context.Context, c *chunk, known map[string]struct{}) error {
	var orders []string
	for i := range c.steps {
		if c.steps[i].asks {
			orders = append(orders, c.steps[i].Event.OrderID)
		}
	}
	slices.Sort(orders)
	var err error
	if c.records, err = s.view.Records(ctx, slices.Compact(orders)); err != nil {
		return err
	}
	var ask []string
	need := func(lines []stock.Line) {
		for _, l := range lines {
			if _, asked := known[l.Goods]; !asked {
				known[l.Goods] = struct{}{}
				ask = append(ask, l.Goods)
			}
		}
	}
	for i := range c.steps {
		if c.steps[i].asks {
			need(c.steps[i].Event.Lines)
			need(c.records[c.steps[i].Event.OrderID].Lines)
		}
	}
	slices.Sort(ask)
	c.fetched = make(map[string]stock.Level)
	for _, goods := range ask {
		c.fetched[goods] = stock.Level{Available: absent}
	}
	found, err := s.view.Levels(ctx, ask)
	maps.Copy(c.fetched, found)
	return err
}

// absent is the level of goods that are not in the catalogue.
const absent = -1

// decide takes a chunk through the decisions, one after the other, and gives
// every step of it a class.
func (s *simulation) decide(ctx context.Context, c *chunk) error {
	for id, level := range c.fetched {
		g := &goods{before: level.Available, level: level.Available}
		if level.Available == absent {
			g.unknown, g.before, g.level = true, 0, 0
		}
		s.levels[id] = g
	}
	known := make(map[string]memory) // of this chunk, newest
	for i := range c.steps {
		step := &c.steps[i]
		if err := s.decideOne(ctx, step, c, known); err != nil {
			return err
		}
		if step.Class.Published() {
			s.published++
		}
		if s.rules.Limit > 0 && s.published >= s.rules.Limit {
			c.steps, c.last = c.steps[:i+1], true
			break
		}
	}
	for _, m := range known {
		if err := s.shelf.put(m); err != nil {
			return err
		}
	}
	c.steps = slices.DeleteFunc(c.steps, func(step Step) bool { return step.dropped })
	return nil
}

// decideOne gives one step its class.
func (s *simulation) decideOne(ctx context.Context, step *Step, c *chunk, known map[string]memory) error {
	if !step.asks {
		return nil
	}
	record, simulated, err := s.recall(step, c, known)
	if err != nil {
		return err
	}
	if !s.rules.Filter.passesGoods(&step.Event, record) {
		step.dropped = true
		return nil
	}
	if err := s.classify(ctx, step, record, simulated, known); err != nil {
		return err
	}
	if s.rules.ChangesOnly && step.Class.effectless() && !step.settlesRejected(record, simulated) {
		step.Class, step.Detail = Unneeded, step.Class.Meaning()
	}
	return nil
}

// recall returns the standing record of the step's order: what the simulation has
// made of it, else what the database holds; nil when it is not known.
func (s *simulation) recall(step *Step, c *chunk, known map[string]memory) (record *stock.Record, simulated *memory, err error) {
	id := step.Event.OrderID
	m, ok := known[id]
	if !ok {
		if m, ok, err = s.shelf.get(id); err != nil {
			return nil, nil, err
		}
	}
	if ok {
		if m.waits != "" {
			return nil, &m, nil
		}
		return &m.record, &m, nil
	}
	if r, ok := c.records[id]; ok {
		return &r, nil, nil
	}
	return nil, nil, nil
}

// classify decides one event and says what came of it.
func (s *simulation) classify(ctx context.Context, step *Step, record *stock.Record, simulated *memory, known map[string]memory) error {
	if step.Event.Type == order.Cancelled && record == nil {
		where, err := s.waits(ctx, step, simulated)
		if err != nil {
			return err
		}
		if where != "" {
			step.Class, step.Detail = HeldBack, "its order waits in "+where
			return nil
		}
	}
	decision, changes := s.ask(step, record)
	step.classified(&decision, simulated != nil)
	s.account(step, &decision, &changes)
	switch {
	case step.Class == GoodsUnknown && step.Event.Type == order.Created:
		known[step.Event.OrderID] = memory{record: stock.Record{Order: step.Event.OrderID}, waits: "this selection, for goods that are unknown"}
	case decision.Verdict == stock.Applied:
		r := decision.Record
		known[r.Order] = memory{record: stock.Record{Order: r.Order, State: r.State, Lines: r.Lines}}
	}
	return nil
}

// waits says where the create of an order waits that is not known.
func (s *simulation) waits(ctx context.Context, step *Step, simulated *memory) (string, error) {
	if simulated != nil {
		return simulated.waits, nil
	}
	if s.rules.Waiting == nil {
		return "", nil
	}
	return s.rules.Waiting.Where(ctx, step.Event.OrderID)
}

// ask has package stock decide about one event.
func (s *simulation) ask(step *Step, record *stock.Record) (stock.Decision, stock.Changes) {
	request := stock.Request{
		Order: step.Event.OrderID, Action: stock.Deduct, Lines: step.Event.Lines,
		Origin: step.Delivery.Origin, Attempt: step.Delivery.Attempt,
	}
	if step.Event.Type == order.Cancelled {
		request.Action, request.Lines = stock.Release, nil
	}
	book := stock.Book{Levels: make(map[string]int64, len(request.Lines)), Records: make(map[string]stock.Record, 1)}
	need := request.Lines
	if record != nil {
		book.Records[record.Order] = *record
		need = record.Lines
	}
	for _, line := range need {
		if g := s.levels[line.Goods]; g != nil && !g.unknown {
			book.Levels[line.Goods] = g.level
		}
	}
	decisions, changes := book.Decide([]stock.Request{request}, s.rules.Now())
	return decisions[0], changes
}

// account moves the levels of the simulation.
func (s *simulation) account(step *Step, d *stock.Decision, changes *stock.Changes) {
	if d.Verdict == stock.Applied && step.Event.Type == order.Created {
		for _, line := range step.Event.Lines {
			s.levels[line.Goods].wanted += line.Num
		}
	}
	for i := range changes.Movements {
		m := &changes.Movements[i]
		g := s.levels[m.Goods]
		g.level = m.Balance
		g.orders++
		if m.Delta < 0 {
			g.deducted -= m.Delta
		} else {
			g.released += m.Delta
		}
	}
}
