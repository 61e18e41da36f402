package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/crash"
	"orderconsumer/internal/proof"
	"orderconsumer/internal/workload"
)

// Script is a drill: orders come in while consumers are killed, stopped and
// added; then everything is held against what was published.
type Script struct {
	// Place is where it happens.
	Place *Place
	// Command starts a consumer, but for the settings of the place.
	Command Command
	// Orders come in, at PerSecond of them; what is left when nothing is broken
	// any more comes at once.
	Orders    int
	PerSecond float64
	// Instances share the work.
	Instances int
	// Kills is how often one of them is killed: in turn at a point of the path
	// and at no point in particular.
	Kills int
	// Seed makes orders and choices. The moments of a kill are not in it.
	Seed uint64
	// SessionTimeout is that of the consumers.
	SessionTimeout time.Duration
	// Say is told what is under way.
	Say func(format string, args ...any)
}

// Step is one thing that was done, and how long it took until every partition
// went on.
type Step struct {
	What string
	Took time.Duration
}

// Result is what became of the orders.
type Result struct {
	Steps []Step
	Kills int
	// Replayed are outcomes beyond one for each event: events that were worked on
	// twice, which changes nothing.
	Replayed int64
	Report   *proof.Report
}

// Kept reports that the promise was kept.
func (r *Result) Kept() bool { return r.Report != nil && r.Report.Clean() && r.Report.Unsettled == 0 }

const (
	// stepPatience bounds the wait until every partition goes on.
	stepPatience = 2 * time.Minute
	// drainPatience bounds the wait until nothing is left.
	drainPatience = 10 * time.Minute
	// plannedWithin is how soon an instance has to come to the point at which it
	// is to die.
	plannedWithin = 30 * time.Second
)

// drill is one playing of a script.
type drill struct {
	*Script
	result   Result
	load     *Load
	dice     *rand.Rand
	alive    []*member
	points   []crash.Point // still to die at, in the order chosen
	pouring  chan struct{} // closed when no more orders come in
	pourErr  error         // set before
	stopPour context.CancelFunc
}

// member is an instance, the end of what it said, and the point at which it is
// going to die, if any.
type member struct {
	*Consumer
	talk *tail
	doom crash.Point
}

// Run plays the script. It leaves no consumer behind, whatever happens; the
// place is the caller's to remove.
func (s *Script) Run(ctx context.Context) (_ *Result, err error) {
	d := &drill{Script: s, dice: rand.New(rand.NewPCG(s.Seed, 0))}
	d.load, err = s.Place.NewLoad(ctx, workload.Config{
		Orders: s.Orders, Goods: max(10, s.Orders/50), Skew: 1.1, Seed: s.Seed,
		DuplicateShare: 0.02, BrokenShare: 0.005, CancelShare: 0.03,
	}, 0.6)
	if err != nil {
		return nil, err
	}
	defer d.load.Close()
	defer d.killAll()
	err = d.play(ctx)
	return &d.result, err
}

func (d *drill) play(ctx context.Context) error {
	for range d.Instances {
		if err := d.start(""); err != nil {
			return err
		}
	}
	d.Say("%d instances join the group", d.Instances)
	err := d.members(ctx)
	if err != nil {
		return err
	}
	d.pour(ctx)
	defer d.dam() //nolint:errcheck // the one below tells
	for i := range d.Kills {
		if err = d.killOne(ctx, i); err != nil {
			return err
		}
	}
	if err = d.restart(ctx); err != nil {
		return err
	}
	if err = d.grow(ctx); err != nil {
		return err
	}
	if err = d.dam(); err != nil {
		return err
	}
	return d.finish(ctx)
}

// start starts an instance, which dies at a point of the path if one is given.
func (d *drill) start(doom crash.Point) error {
	m := &member{talk: &tail{}, doom: doom}
	command := d.Command
	command.Talk = m.talk
	command.Environment = append(append(append([]string{}, command.Environment...), d.Place.Environment()...),
		"SESSION_TIMEOUT="+d.SessionTimeout.String(), "DRAIN_TIMEOUT="+(d.SessionTimeout/2).String())
	if doom != "" {
		plan := crash.Plan{Point: doom, Passing: 3 + d.dice.Int64N(10), Deed: crash.Kill}
		command.Environment = append(command.Environment, "CRASH_AT="+plan.String())
	}
	var err error
	m.Consumer, err = Start(command)
	if err == nil {
		d.alive = append(d.alive, m)
	}
	return err
}

// members waits until everybody has a share of the work.
func (d *drill) members(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	waiting := make(chan error, 1)
	go func() { waiting <- d.Place.AwaitMembers(ctx, len(d.alive)) }()
	tick := time.NewTicker(cli.LineEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-waiting:
			return errors.Join(err, d.ended())
		case <-tick.C:
			if err := d.ended(); err != nil {
				return err
			}
			d.Say("  waiting for %d instances to share the partitions", len(d.alive))
		}
	}
}

// ended tells of an instance that ended though nobody ended it.
func (d *drill) ended() error {
	for _, m := range d.alive {
		if !m.Alive() && (m.doom == "" || !m.Killed()) {
			return fmt.Errorf("an instance ended by itself: %w; it said:\n%s", m.ended(), m.talk)
		}
	}
	return nil
}

// pour lets orders come in beside everything else.
func (d *drill) pour(ctx context.Context) {
	ctx, d.stopPour = context.WithCancel(ctx)
	d.pouring = make(chan struct{})
	d.Say("orders come in, %.0f a second", d.PerSecond)
	go func() {
		d.pourErr = d.load.Publish(ctx, 2*d.Orders, d.PerSecond)
		close(d.pouring)
	}()
}

// dam ends that.
func (d *drill) dam() error {
	d.stopPour()
	<-d.pouring
	return d.pourErr
}

// killOne lets an instance die: by its own hand at a point of the path, or by
// ours wherever it is. Another one takes its place.
func (d *drill) killOne(ctx context.Context, i int) error {
	if i%2 == 0 {
		return d.dieAt(ctx, d.nextPoint())
	}
	n := d.dice.IntN(len(d.alive))
	victim := d.alive[n]
	d.Say("kill -9 of instance %d", victim.Pid())
	victim.Signal(syscall.SIGKILL)
	mark, err := d.Place.MarkDeath(ctx, victim.Consumer)
	if err != nil {
		return err
	}
	return d.replace(ctx, victim, "kill -9 under load", mark)
}

// nextPoint goes through all points before any comes twice.
func (d *drill) nextPoint() crash.Point {
	if len(d.points) == 0 {
		d.points = crash.Points()
		d.dice.Shuffle(len(d.points), func(i, j int) { d.points[i], d.points[j] = d.points[j], d.points[i] })
	}
	point := d.points[0]
	d.points = d.points[1:]
	return point
}

// dieAt adds an instance that is going to die at a point, and sees it die.
func (d *drill) dieAt(ctx context.Context, point crash.Point) error {
	if err := d.start(point); err != nil {
		return err
	}
	doomed := d.alive[len(d.alive)-1]
	d.Say("instance %d joins, and dies by SIGKILL at %s", doomed.Pid(), point)
	waiting, cancel := context.WithTimeout(ctx, plannedWithin)
	defer cancel()
	mark, err := d.Place.MarkDeath(waiting, doomed.Consumer)
	if err != nil {
		return fmt.Errorf("%w; it said:\n%s", err, doomed.talk)
	}
	return d.replace(ctx, doomed, "kill -9 at "+string(point), mark)
}

// replace counts a death, waits for the others to take over, and keeps their
// number.
func (d *drill) replace(ctx context.Context, victim *member, what string, mark Mark) error {
	d.result.Kills++
	for i, m := range d.alive {
		if m == victim {
			d.alive = append(d.alive[:i], d.alive[i+1:]...)
			break
		}
	}
	err := d.past(ctx, what, mark)
	if err != nil || len(d.alive) >= d.Instances {
		return err
	}
	return errors.Join(d.start(""), d.members(ctx))
}

// past waits until every partition goes on after a fault. Where nobody is left
// to go on, another instance starts at once.
func (d *drill) past(ctx context.Context, what string, mark Mark) error {
	if len(d.alive) == 0 {
		if err := d.start(""); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	type answer struct {
		on  GoneOn
		err error
	}
	waiting := make(chan answer, 2)
	go func() {
		on, err := d.Place.AwaitPast(ctx, mark)
		waiting <- answer{on, err}
	}()
	pouring := d.pouring
	tick := time.NewTicker(cli.LineEvery)
	defer tick.Stop()
	for {
		select {
		case past := <-waiting:
			if past.err != nil {
				return errors.Join(past.err, d.ended())
			}
			took := past.on.Past
			if mark.Death { // what had piled up says nothing about the others
				took = past.on.First
			}
			d.Say("  every partition goes on after %.1f s", took.Seconds())
			d.result.Steps = append(d.result.Steps, Step{What: what, Took: took})
			return nil
		case <-pouring:
			// No order comes any more that could show who goes on: then everybody does
			// when nothing is left.
			pouring = nil
			go func() {
				err := d.Place.AwaitLeft(ctx, 0, nil)
				took := time.Since(mark.At)
				waiting <- answer{GoneOn{First: took, Past: took}, err}
			}()
		case <-tick.C:
			d.Say("  %.0f s: waiting for the others to take over", time.Since(mark.At).Seconds())
		}
	}
}

// restart stops an instance in good order and starts another.
func (d *drill) restart(ctx context.Context) error {
	leaving := d.alive[0]
	d.Say("SIGTERM to instance %d, another one starts afterwards", leaving.Pid())
	mark, err := d.Place.Mark(ctx)
	if err != nil {
		return err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- leaving.Stop() }()
	d.alive = d.alive[1:]
	err = d.past(ctx, "SIGTERM under load", mark)
	err = errors.Join(err, <-stopped)
	if err != nil || len(d.alive) >= d.Instances {
		return err
	}
	return errors.Join(d.start(""), d.members(ctx))
}

// grow adds an instance.
func (d *drill) grow(ctx context.Context) error {
	d.Say("one instance more")
	mark, err := d.Place.Mark(ctx)
	if err == nil {
		err = d.start("")
	}
	if err == nil {
		err = d.members(ctx)
	}
	if err != nil {
		return err
	}
	return d.past(ctx, "rebalance: one instance more", mark)
}

func (d *drill) killAll() {
	for _, m := range d.alive {
		m.Signal(syscall.SIGKILL)
	}
	for _, m := range d.alive {
		<-m.Done()
	}
}
