package replay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"orderconsumer/internal/order"
)

// Log is what an executor asks of the log besides publishing.
type Log interface {
	Reader
	// Positions tells how far the consumer group has come in the topics.
	Positions(ctx context.Context, topics []string) ([]Position, error)
}

// Position is how far a consumer group has come in one partition.
type Position struct {
	Topic     string
	Partition int
	End       int64 // the offset the next message will get
	First     int64 // the oldest offset that the log still has
	Committed int64 // everything before it is settled
}

// Executor publishes the messages of a replay. It is used once.
type Executor struct {
	Source    Source
	Rules     Rules // Limit counts what was published before too
	View      View
	Store     Store
	Log       Log
	Publisher order.Publisher
	// Topics are those of the group, Target is the one that is published to.
	Topics order.Topics
	Target string
	// Staged makes it wait at the end of each stage of the Ramp until the group
	// has settled it, and look. Without it everything is published in one go.
	Staged bool
	Ramp   Ramp
	// MaxFailed is the share of a stage that may fail again, 0..1. At more than
	// that the replay stops.
	MaxFailed float64
	// Rate is the most messages a second; zero for as many as there can be.
	Rate float64
	// Patience is how long nothing may move before the replay stops: the log, the
	// database, or the group.
	Patience time.Duration
	// Hopeless is true for an error of the log that no patience mends; nil: for none.
	Hopeless func(error) bool
	// Now is the clock; nil: the machine's.
	Now func() time.Time
	// Audit counts what is wrong in the database; nil: nobody looks.
	Audit func(ctx context.Context) (findings int64, err error)
	// Tell is told how things stand, often and from several goroutines; it must be
	// quick. Nil: nobody is.
	Tell func(Report)

	mu       sync.Mutex // guards object and saved
	object   *Object
	saved    time.Time // when this process last held it for certain; zero: not since Run began
	lost     context.CancelCauseFunc
	take     context.Context //nolint:containedctx // that of Run, of which there is one
	limiter  *rate.Limiter
	batch    []order.Message
	bytes    int
	lastLook time.Time
}

// Phases of an execution.
const (
	PhasePublishing = "publishing"
	PhaseRefused    = "waiting for Kafka to confirm"
	PhaseKafka      = "waiting for Kafka"
	PhaseSettling   = "waiting for the consumer to settle"
	PhaseLook       = "looking for what failed again"
	PhaseAudit      = "auditing the database"
	PhaseDatabase   = "waiting for the database"
)

// Report is how an execution stands.
type Report struct {
	Phase    string
	Progress Progress
	// Rest says that what is published now goes on to the end without a wait: it is
	// the last stage, or there are none.
	Rest bool
	// Left is how many messages the consumer has still to settle, while that is
	// waited for.
	Left int64
	// Err is why it does not go on, if it does not.
	Err error
}

// StoppedError says why a replay has stopped before its end. It can be resumed.
type StoppedError struct {
	Why error
	// Verdict is true when what came of the messages was the reason: more failed
	// again than may, or the audit found something.
	Verdict bool
}

// Error says why.
func (e *StoppedError) Error() string { return "stopped: " + e.Why.Error() }

// Unwrap returns the reason.
func (e *StoppedError) Unwrap() error { return e.Why }

const (
	// publishMessages and publishBytes bound a batch: what is in flight, and may be
	// published twice when the process dies.
	publishMessages = 500
	publishBytes    = 900 << 10
	// batchesPerSecond keeps batches of a slow replay small.
	batchesPerSecond = 5
	// lookEvery is how often the last stage is looked at while it is published.
	lookEvery = 5 * time.Second
	// lookLeast is how many failures are needed to stop in the middle of a stage.
	lookLeast = 20
)

// interruption is the end of the context that a replay runs in: somebody has told it
// to stop, and knows that.
type interruption struct{ cause error }

// Error says so.
func (interruption) Error() string { return "interrupted" }

// Unwrap returns the cause of the context's end.
func (i interruption) Unwrap() error { return i.cause }

// errStop ends the stream when take has ended.
var errStop = errors.New("told to stop")

// Run publishes what is left of the replay, which this process holds. When take
// ends it stops behind the batch in flight; when work ends, at once. It records
// how the replay ended, and returns nil when it is done, a *StoppedError when it
// can be resumed, and an error that wraps ErrLost when it is somebody else's.
func (e *Executor) Run(take, work context.Context, o *Object) error {
	e.object, e.take = o, take
	if o.Progress.Positions == nil {
		o.Progress.Positions = Positions{}
	}
	if o.Progress.Skipped == nil {
		o.Progress.Skipped = make(map[Class]int64)
	}
	held, lost := context.WithCancelCause(work)
	e.lost = lost
	var keeper sync.WaitGroup
	ended := make(chan struct{})
	keeper.Go(func() { e.beat(held, ended) })
	err := e.publishAll(take, held)
	switch {
	case errors.Is(err, errStop):
		err = &StoppedError{Why: interruption{context.Cause(take)}}
	case err != nil && work.Err() != nil:
		err = &StoppedError{Why: interruption{context.Cause(work)}}
	}
	close(ended)
	keeper.Wait()
	if cause := context.Cause(held); errors.Is(cause, ErrLost) {
		lost(nil)
		return cause
	}
	lost(nil)
	return e.conclude(work, err)
}

// conclude records how it ended.
func (e *Executor) conclude(work context.Context, err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch stopped := (*StoppedError)(nil); {
	case err == nil:
		e.object.State, e.object.Note = Done, ""
	case errors.Is(err, ErrLost):
		return err
	case errors.As(err, &stopped):
		e.object.State, e.object.Note = Stopped, stopped.Why.Error()
	default:
		e.object.State, e.object.Note = Stopped, err.Error()
		err = &StoppedError{Why: err}
	}
	// Also after an abort: it is the last thing, and short.
	last, cancel := context.WithTimeout(context.WithoutCancel(work), beatEvery)
	defer cancel()
	if endErr := e.Store.End(last, e.object); endErr != nil {
		if err == nil {
			return fmt.Errorf("everything is published, and could not be recorded: %w", endErr)
		}
		return errors.Join(err, endErr)
	}
	return err
}

// change changes the progress.
func (e *Executor) change(fn func(*Progress)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fn(&e.object.Progress)
}

// progress is a copy that nobody changes.
func (e *Executor) progress() Progress {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.object.Progress
	p.Positions, p.Looked, p.Skipped = p.Positions.Clone(), p.Looked.Clone(), maps.Clone(p.Skipped)
	return p
}

func (e *Executor) tell(phase string, left int64, err error) {
	if e.Tell != nil {
		p := e.progress()
		_, limited := e.Ramp.room(p.Stage)
		e.Tell(Report{Phase: phase, Progress: p, Rest: !e.Staged || !limited, Left: left, Err: err})
	}
}

// publishAll takes the source through the simulation and publishes.
func (e *Executor) publishAll(take, work context.Context) error {
	if err := e.prepare(work); err != nil {
		return err
	}
	// It may have been stopped at the end of a stage.
	if err := e.ramp(take, work); err != nil {
		return err
	}
	rules, p := e.Rules, e.progress()
	if rules.Limit > 0 {
		rules.Limit -= p.Published
		if rules.Limit <= 0 {
			return e.closeStage(take, work)
		}
	}
	if rules.Waiting != nil {
		rules.Waiting = patientWaiting{rules.Waiting, e}
	}
	sim, err := newSimulation(rules, patientView{e.View, e}, Total(e.Source.Ranges()))
	if err != nil {
		return err
	}
	defer sim.close()
	err = sim.stream(work, patientSource{e.Source, e}, p.Positions, true, func(ctx context.Context, c *chunk) error {
		return e.takeChunk(take, ctx, c)
	})
	if err != nil {
		return err
	}
	return e.closeStage(take, work)
}

// prepare looks at the world before anything is published.
func (e *Executor) prepare(ctx context.Context) error {
	size := publishMessages
	if e.Rate > 0 {
		size = min(size, max(1, int(e.Rate/batchesPerSecond)))
	}
	e.limiter = rate.NewLimiter(rate.Inf, size)
	if e.Rate > 0 {
		e.limiter.SetLimit(rate.Limit(e.Rate))
	}
	if !e.Staged {
		return nil
	}
	if p := e.progress(); p.Looked == nil {
		ends, err := e.ends(ctx, e.failureTopics())
		if err != nil {
			return err
		}
		e.change(func(p *Progress) { p.Looked = ends })
	}
	if err := e.audit(ctx); err != nil {
		return err
	}
	return e.save(ctx)
}

// takeChunk publishes what is to be published of a chunk. Afterwards the progress
// is behind all of it.
func (e *Executor) takeChunk(take, work context.Context, c *chunk) error {
	attempt := e.Topics.AttemptIn(e.Target)
	passed := e.progress().Positions
	skipped := make(map[Class]int64)
	for i := range c.steps {
		step := &c.steps[i]
		passed.Pass(&step.Message)
		if !step.Class.Published() {
			skipped[step.Class]++
			continue
		}
		m := order.Replay(&step.Message, step.Delivery, e.object.ID, attempt)
		m.Topic = e.Target
		e.batch, e.bytes = append(e.batch, m), e.bytes+Size(&m)
		if !e.full() {
			continue
		}
		if err := e.flush(take, work, passed, skipped); err != nil {
			return err
		}
	}
	if !c.last {
		passed = c.after
	}
	return e.flush(take, work, passed, skipped)
}

// full is true when the batch is to be published before another message joins.
func (e *Executor) full() bool {
	p := e.progressOfStage()
	room, limited := e.Ramp.room(p.stage)
	return len(e.batch) >= e.limiter.Burst() || e.bytes >= publishBytes ||
		e.Staged && limited && p.inStage+int64(len(e.batch)) >= room
}

// stageProgress is the part of the progress that the ramp needs.
type stageProgress struct {
	stage   int
	inStage int64
}

func (e *Executor) progressOfStage() stageProgress {
	e.mu.Lock()
	defer e.mu.Unlock()
	return stageProgress{e.object.Progress.Stage, e.object.Progress.InStage}
}

// flush publishes the batch, records it, and ends the stage if that was all of
// it.
func (e *Executor) flush(take, work context.Context, passed Positions, skipped map[Class]int64) error {
	if take.Err() != nil {
		return errStop
	}
	n := int64(len(e.batch))
	if n > 0 {
		if err := e.limiter.WaitN(take, len(e.batch)); err != nil {
			return errStop // nothing of it is published
		}
		if err := e.publish(work, e.batch); err != nil {
			return err
		}
		e.batch, e.bytes = e.batch[:0], 0
	}
	e.change(func(p *Progress) {
		p.Positions = passed.Clone()
		p.Published += n
		p.InStage += n
		for class, count := range skipped {
			p.Skipped[class] += count
		}
	})
	clear(skipped)
	if err := e.record(work); err != nil {
		return err
	}
	e.tell(PhasePublishing, 0, nil)
	return e.ramp(take, work)
}
