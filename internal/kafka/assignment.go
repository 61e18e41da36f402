package kafka

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/order"
)

// assignment is what one member does in one generation: a reader for each
// partition, one flow they all feed, and one committer.
type assignment struct {
	consumer   *Consumer
	generation *kafkago.Generation
	flow       *order.Flow
	partitions []*partition
	inputs     *inputsFirst
	feeds      *feeds
	committed  map[*partition]int64 // owned by the committer
	said       time.Time            // when it was last said that a commit failed; owned by the committer
}

// add adds a partition that is read from its committed offset on; parted is why its log is not the one that
// was read, if it is known.
func (a *assignment) add(topic string, id int, offset int64, parted string) {
	c := a.consumer
	if parted != "" {
		offset = NoCommit // verify says where it begins, and that is committed at once: it takes the note away
	}
	p := &partition{
		consumer: c,
		topic:    topic,
		id:       id,
		start:    offset,
		mark:     newWatermark(offset, c.cfg.Window),
		flow:     a.flow,
		feed:     a.feeds.add(topic, id),
		log:      c.log.With("topic", topic, "partition", id),
		begin:    func(ctx context.Context) error { return ctx.Err() },
		begun:    func() {},

		read:   unread,
		parted: parted,
	}
	// Where another member has read on meanwhile its epoch is older than that of what stands before offset.
	if before, ok := c.read[partitionID{topic, id}]; ok && parted == "" && offset >= 0 && offset <= before.next {
		p.read, p.feed.epoch = before, before.epoch
	}
	if c.isTier(topic) {
		p.begin = a.inputs.wait
	} else {
		p.begun = a.inputs.one()
	}
	a.partitions = append(a.partitions, p)
	a.committed[p] = offset
}

// run reads until take ends or something must stop, then drains, then commits
// for the last time. The order matters: a commit before the drain would leave
// what was in flight to be done again by the next owner, and readers that go
// on while the flow drains would keep it from ever being empty.
func (a *assignment) run(take, work context.Context) error {
	take, stopTaking := context.WithCancelCause(take)
	defer stopTaking(nil)
	work, stopWorking := context.WithCancel(work)
	defer stopWorking()

	var readers, flow, commits sync.WaitGroup
	for _, p := range a.partitions {
		readers.Go(func() {
			defer p.begun()
			if p.begin(take) != nil {
				return // told to stop
			}
			err := p.run(take)
			if err != nil {
				stopTaking(err)
			}
		})
	}
	flow.Go(func() {
		err := a.flow.Run(work)
		if err != nil {
			stopTaking(err)
		}
	})
	readers.Go(func() { a.watchUnowned(take, stopTaking) })
	drained := make(chan struct{})
	commits.Go(func() { a.commitUntil(drained) })
	if len(a.partitions) == 0 {
		defer time.AfterFunc(idleShout, a.shout).Stop()
	}

	<-take.Done()
	readers.Wait()
	a.feeds.wait()
	a.flow.Drain()
	late := time.AfterFunc(a.consumer.cfg.DrainTimeout, stopWorking)
	flow.Wait()
	late.Stop()
	close(drained)
	commits.Wait()
	a.said = time.Time{} // what the last commit cannot say is done again
	a.commit()
	a.remember()
	told := a.commitParted(context.WithoutCancel(take))
	a.consumer.observer.OldestInFlight(time.Time{})
	if !told && errors.Is(context.Cause(take), ErrDataLoss) {
		return nil // who ends now takes what he knows with him: the next generation refuses, and tells again
	}
	return fatal(context.Cause(take))
}

func (a *assignment) shout() {
	a.consumer.log.Warn("no partition assigned: are there more instances than partitions?",
		"group", a.consumer.cfg.Group, "topics", a.consumer.cfg.Topics)
}

// fatal is the cause if it must end the consumer, not only the generation.
func fatal(cause error) error {
	if errors.Is(cause, order.ErrTooManyDead) || errors.Is(cause, ErrDataLoss) {
		return cause
	}
	return nil
}

// commitUntil commits what has been settled, every so often.
func (a *assignment) commitUntil(drained <-chan struct{}) {
	tick := time.NewTicker(a.consumer.cfg.CommitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.commit()
			a.consumer.observer.OldestInFlight(a.oldest())
		case <-drained:
			return
		}
	}
}

// commit says how far each partition is done. An error is reported and
// otherwise ignored: the next commit says the same and more, and what is read
// again is known to the ledger.
func (a *assignment) commit() {
	offsets := make(map[string]map[int]int64)
	moved := make(map[*partition]int64)
	for _, p := range a.partitions {
		offset := p.mark.committable()
		if offset == a.committed[p] || offset < 0 {
			continue
		}
		moved[p] = offset
		if offsets[p.topic] == nil {
			offsets[p.topic] = make(map[int]int64)
		}
		offsets[p.topic][p.id] = offset
	}
	if len(moved) == 0 {
		return
	}
	a.consumer.cfg.Crash.At(crash.BeforeOffsetCommit)
	err := a.generation.CommitOffsets(offsets)
	if err != nil {
		a.consumer.observer.CommitFailed()
		if time.Since(a.said) >= failedEvery {
			a.consumer.log.Warn("offsets not committed, trying again", "group", a.consumer.cfg.Group, "error", err)
			a.said = time.Now()
		}
		return
	}
	a.consumer.cfg.Crash.At(crash.AfterOffsetCommit)
	maps.Copy(a.committed, moved)
}

// oldest is when the oldest message in flight was read. It reports each
// partition's first unsettled message on the way.
func (a *assignment) oldest() time.Time {
	var oldest time.Time
	for _, p := range a.partitions {
		since, appended, ok := p.mark.oldest()
		if !ok {
			appended = time.Time{}
		}
		a.consumer.observer.Unsettled(p.topic, p.id, appended)
		if ok && (oldest.IsZero() || since.Before(oldest)) {
			oldest = since
		}
	}
	return oldest
}
