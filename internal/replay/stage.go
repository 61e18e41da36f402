package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderconsumer/internal/order"
)

// settlePoll is how often the group is asked how far it is.
const settlePoll = 200 * time.Millisecond

// ramp ends the stage when all of it is published, and looks in the middle of the
// last one now and then.
func (e *Executor) ramp(take, work context.Context) error {
	if !e.Staged {
		return nil
	}
	p := e.progressOfStage()
	if room, limited := e.Ramp.room(p.stage); limited && p.inStage >= room {
		return e.closeStage(take, work)
	}
	if p.inStage == 0 || time.Since(e.lastLook) < lookEvery {
		return nil
	}
	if err := e.look(work); err != nil {
		return err
	}
	// What is not settled may still fail: this is the least that has.
	if failed, of := e.failedInStage(); failed >= lookLeast && float64(failed) > e.MaxFailed*float64(of) {
		return e.tooMany(failed, of)
	}
	return nil
}

// closeStage waits until the stage is settled and says whether it went well.
func (e *Executor) closeStage(take, work context.Context) error {
	if !e.Staged || e.progressOfStage().inStage == 0 {
		return nil
	}
	if err := e.settled(take, work); err != nil {
		return err
	}
	if err := e.look(work); err != nil {
		return err
	}
	failed, of := e.failedInStage()
	if float64(failed) > e.MaxFailed*float64(of) {
		return e.tooMany(failed, of)
	}
	if err := e.audit(work); err != nil {
		return err
	}
	e.change(func(p *Progress) {
		p.Stage++
		p.InStage = 0
		p.FailedBefore = p.FailedAgain()
	})
	return e.record(work)
}

// tooMany is the verdict on a stage. A resumed replay begins another stage: who
// resumes has looked.
func (e *Executor) tooMany(failed, of int64) error {
	stage := 0
	e.change(func(p *Progress) {
		stage = p.Stage + 1
		p.InStage, p.FailedBefore = 0, p.FailedAgain()
	})
	return &StoppedError{Verdict: true, Why: fmt.Errorf("%d of the %d messages of stage %d failed again, more than %g%% may",
		failed, of, stage, 100*e.MaxFailed)}
}

func (e *Executor) failedInStage() (failed, of int64) {
	p := e.progress()
	return p.FailedAgain() - p.FailedBefore, p.InStage
}

// settled returns when the group has settled everything that stands in the target
// now. What is certain about it: the group commits an offset only after every
// event below it is applied, or stands in a later tier or among the dead letters.
func (e *Executor) settled(take, work context.Context) error {
	ends, err := e.ends(work, []string{e.Target})
	if err != nil {
		return err
	}
	moved, before := time.Now(), int64(-1) // moved may be to come: when something is due to move
	for {
		positions, err := e.Log.Positions(work, []string{e.Target})
		left := int64(0)
		for _, p := range positions {
			left += max(0, ends[p.Topic][p.Partition]-max(p.Committed, 0))
		}
		switch {
		case work.Err() != nil:
			return context.Cause(work)
		case err == nil && left == 0:
			return nil
		case take.Err() != nil:
			return errStop
		case err == nil && left != before:
			moved, before = time.Now(), left
		case time.Since(moved) < e.Patience:
		default:
			if due := e.nextDue(work, positions, ends); due.After(moved) {
				moved = due
				break
			}
			return &StoppedError{Why: errors.Join(fmt.Errorf("%d messages in %s are not settled, and nothing has moved for %s: no consumer of the group is at work",
				before, e.Target, e.Patience), err)}
		}
		e.tell(PhaseSettling, left, err)
		if err := wait(work, settlePoll); err != nil {
			return err
		}
	}
}

// nextDue is when the group can go on at the earliest: when the first of the messages
// is due that come next in each partition. It is zero when one is due in any case, or
// that cannot be known.
func (e *Executor) nextDue(ctx context.Context, positions []Position, ends Positions) time.Time {
	var due time.Time
	for _, p := range positions {
		left := Range{Topic: p.Topic, Partition: p.Partition, From: max(p.Committed, 0), To: ends[p.Topic][p.Partition]}
		if left.Messages() == 0 {
			continue
		}
		var its time.Time
		// The error is that of the visit, or as good as nothing known.
		_ = e.Log.Scan(ctx, left, func(m order.Message) error {
			its = order.ParseDelivery(&m).NotBefore
			return errStop
		})
		if its.IsZero() {
			return its
		}
		if due.IsZero() || its.Before(due) {
			due = its
		}
	}
	return due
}

// failureTopics are where a message goes that fails again in the target.
func (e *Executor) failureTopics() []string {
	list := []string{e.Topics.Dead}
	if tier, ok := e.Topics.Next(e.Topics.AttemptIn(e.Target)); ok {
		list = append(list, tier.Topic)
	}
	return list
}

// ends are the ends of the topics.
func (e *Executor) ends(ctx context.Context, topics []string) (Positions, error) {
	var ends Positions
	err := e.ask(ctx, PhaseKafka, func() error {
		positions, err := e.Log.Positions(ctx, topics)
		ends = endsOf(positions)
		return err
	}, e.hopeless)
	return ends, err
}

func endsOf(positions []Position) Positions {
	ends := make(Positions)
	for _, p := range positions {
		if ends[p.Topic] == nil {
			ends[p.Topic] = make(map[int]int64)
		}
		ends[p.Topic][p.Partition] = p.End
	}
	return ends
}

// lookTell is how many messages are read between two words about it.
const lookTell = 1000

// failures are messages of this replay that have failed again.
type failures struct{ retried, dead int64 }

// look counts the messages of this replay that have failed again since it looked
// last. Each is counted once, where it went from the target: what has been through
// more tiers than that was counted in the first.
func (e *Executor) look(ctx context.Context) error {
	e.lastLook = time.Now()
	var found failures
	var ends Positions
	err := e.ask(ctx, PhaseKafka, func() error {
		positions, err := e.Log.Positions(ctx, e.failureTopics())
		if err != nil {
			return err
		}
		found, ends = failures{}, endsOf(positions)
		looked := e.progress().Looked
		for _, p := range positions {
			// What retention has removed since is not to be had: a replay that was stopped
			// for longer than that goes on without knowing it.
			from := max(looked[p.Topic][p.Partition], p.First)
			if err := e.count(ctx, Range{Topic: p.Topic, Partition: p.Partition, From: from, To: p.End}, &found); err != nil {
				return fmt.Errorf("look for messages that failed again: %w", err)
			}
		}
		return nil
	}, e.hopeless)
	if err != nil {
		return err
	}
	e.change(func(p *Progress) {
		p.Retried += found.retried
		p.Dead += found.dead
		p.Looked = ends
	})
	return e.record(ctx)
}

// count counts the failures in a part of the log.
func (e *Executor) count(ctx context.Context, r Range, found *failures) error {
	if r.Messages() == 0 {
		return nil
	}
	attempt, read := e.Topics.AttemptIn(e.Target), 0
	return e.Log.Scan(ctx, r, func(m order.Message) error {
		if read++; read%lookTell == 0 {
			e.tell(PhaseLook, 0, nil)
		}
		d := order.ParseDelivery(&m)
		switch {
		case d.ReplayID != e.object.ID:
		case r.Topic != e.Topics.Dead:
			found.retried++
		case d.Attempt <= attempt:
			found.dead++
		}
		return nil
	})
}

// audit stops the replay when anything in the database is not as is promised.
func (e *Executor) audit(ctx context.Context) error {
	if e.Audit == nil {
		return nil
	}
	e.tell(PhaseAudit, 0, nil)
	var findings int64
	err := e.ask(ctx, PhaseDatabase, func() (err error) {
		findings, err = e.Audit(ctx)
		return err
	}, notAway)
	switch {
	case err != nil:
		return fmt.Errorf("audit: %w", err)
	case findings > 0:
		noun := "findings"
		if findings == 1 {
			noun = "finding"
		}
		return &StoppedError{Verdict: true, Why: fmt.Errorf("the audit of the database has %d %s; consumer audit --log shows them, and what mends each", findings, noun)}
	default:
		return nil
	}
}
