package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// fetchWait is how long a broker may hold a question for which there is nothing yet. A
	// partition that comes meanwhile waits for its end.
	fetchWait = 250 * time.Millisecond
	// backWait is how long it may hold one while partitions are expected back: those that
	// were answered and have not taken yet what they were given. It holds up what they will ask for.
	backWait = 20 * time.Millisecond
	// backMost is how long any are expected: whoever is not back by then is held up by
	// more than its messages.
	backMost = time.Second
	// backSoon is how long they are waited for before the next question is asked without
	// them: to take a few messages takes no longer.
	backSoon = 2 * time.Millisecond
	// askEvery is the least time between two questions when what came was little. Messages
	// come in ones and twos then, to one partition after the other, and a broker has to
	// look at all of them for each question: half of the greatest load took 230
	// questions a second. A message that comes after a while of nothing is not held up.
	askEvery = 10 * time.Millisecond
	// emptyRest is the wait after an answer that came at once and has nothing in it.
	emptyRest = 100 * time.Millisecond
	// portionsBytes is about what partitions have been given and not yet taken, all together,
	// and portionMost what one is given at a time, unless a single batch has more; portionLeast is worth a question.
	portionsBytes = 8 << 20
	portionMost   = 256 << 10
	portionLeast  = 16 << 10
)

// source asks one broker for messages of all partitions that it leads and that want any,
// one question after the other. A question for each partition, each over a connection of
// its own, was a third of what a broker had to do when messages came in ones and twos.
type source struct {
	client *Client
	broker int32
	most   int           // bytes of one portion
	looks  chan struct{} // has an element while a partition asks for its bounds

	mutex    sync.Mutex
	wants    []*want             // the longest unanswered first
	expected map[*feed]time.Time // partitions that have been given a portion and will be back, and since when
	changed  chan struct{}       // has an element when one of these is another than before

	room []byte // for answers; run's own
}

// want is a partition's wish for messages from an offset on.
type want struct {
	wanted

	feed   *feed
	since  time.Time
	behind time.Time // since when there have been messages that did not come, for no reason; zero: there are none
}

// delivery is what a want is answered.
type delivery struct {
	portion portion
	err     error
	at      time.Time // the same for all that one answer, or none, was for
}

var (
	// errElsewhere: nothing has come from the broker for so long that another one may lead
	// the partition by now.
	errElsewhere = errors.New("nothing has come for long")
	// errNothing: there should be messages, and none come.
	errNothing = errors.New("answers with nothing in them")
)

// want asks for messages; they are delivered to the feed.
func (s *source) want(w *want) {
	s.mutex.Lock()
	s.wants = append(s.wants, w)
	delete(s.expected, w.feed)
	s.mutex.Unlock()
	s.tell()
}

// leave says that the partition will not be back soon.
func (s *source) leave(f *feed) {
	s.mutex.Lock()
	delete(s.expected, f)
	s.mutex.Unlock()
	s.tell()
}

// expecting reports whether anybody will be back soon. The mutex is held.
func (s *source) expecting() bool {
	maps.DeleteFunc(s.expected, func(_ *feed, since time.Time) bool { return time.Since(since) >= backMost })
	return len(s.expected) > 0
}

func (s *source) tell() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// run asks until ctx ends.
func (s *source) run(ctx context.Context) {
	for {
		wants, wait := s.gather(ctx)
		if ctx.Err() != nil {
			return // nobody waits for a delivery any more
		}
		began := time.Now()
		rest, much := s.serve(ctx, wants, wait)
		if !much {
			rest = max(rest, askEvery-time.Since(began))
		}
		if sleep(ctx, rest) != nil {
			return
		}
	}
}

// gather returns what is wanted as soon as anything is, and for how long the broker may
// hold the question. Those that are expected are waited for a moment.
func (s *source) gather(ctx context.Context) ([]*want, time.Duration) {
	var late <-chan time.Time
	for waited := false; ; {
		s.mutex.Lock()
		expecting := s.expecting()
		if wants := s.wants; len(wants) > 0 && (waited || !expecting) {
			wait := fetchWait
			if expecting {
				wait = backWait
			}
			s.wants = nil
			s.mutex.Unlock()
			return wants, wait
		}
		if len(s.wants) > 0 && late == nil {
			timer := time.NewTimer(backSoon)
			defer timer.Stop()
			late = timer.C
		}
		s.mutex.Unlock()
		select {
		case <-s.changed:
		case <-late:
			waited = true
		case <-ctx.Done():
			return nil, 0
		}
	}
}

// serve asks once, and says how long to rest, and whether there is much: as much as one
// answer brings, or more than that. What is not answered stays wanted, before what is wanted from now on.
func (s *source) serve(ctx context.Context, wants []*want, wait time.Duration) (rest time.Duration, much bool) {
	began := time.Now()
	answer, err := s.ask(ctx, wants, wait)
	if err != nil {
		s.room = nil // somebody may still write to it
		now := time.Now()
		for _, w := range wants {
			w.feed.deliver(delivery{at: now, err: fmt.Errorf("fetch from broker %d: %w", s.broker, err)})
		}
		return 0, false // each of them rests
	}
	left, given, more, now := wants[:0], false, false, time.Now()
	for _, w := range wants {
		said := answer.of(w.topic, w.partition)
		d, done := s.about(w, said, given)
		if !done {
			left = append(left, w)
			more = more || said != nil && said.HighWatermark > w.offset
			continue
		}
		if d.err == nil {
			given = true
			s.mutex.Lock()
			s.expected[w.feed] = now
			s.mutex.Unlock()
		}
		d.at = now
		w.feed.deliver(d)
	}
	s.mutex.Lock()
	s.wants = append(left, s.wants...)
	s.mutex.Unlock()
	s.room = answer.room
	if cap(s.room) > 2*fetchBytes {
		s.room = nil // it was for one large message
	}
	switch {
	case answer.throttled() > 0:
		return answer.throttled(), true
	case answer.empty() && time.Since(began) < wait/2:
		return emptyRest, true
	}
	return 0, more || len(answer.room) >= fetchBytes/2
}

// ask is a fetch whose answer is not waited for any longer when it is late and other brokers
// lead all of the partitions.
func (s *source) ask(ctx context.Context, wants []*want, wait time.Duration) (fetchAnswer, error) {
	// In the order of wants: only the first partition that has any messages is sure to get a
	// batch that is larger than what it asked for, and must be one that has waited the longest.
	asked := make([]wanted, len(wants))
	for n, w := range wants {
		asked[n] = w.wanted
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	partitions := func() map[string][]int {
		ids := make(map[string][]int, 1)
		for _, w := range asked {
			ids[w.topic] = append(ids[w.topic], w.partition)
		}
		return ids
	}
	defer s.client.watchBroker(ctx, s.broker, wait, partitions, end)()
	return s.client.fetch(ctx, asked, wait, s.room, func(cluster protocol.Cluster) (protocol.Broker, error) {
		return brokerOf(cluster, s.broker)
	})
}

// about says what a partition is told of what the broker says about it, if anything. Where
// another one before it was given something it may have got nothing for that reason.
func (s *source) about(w *want, p *kmsg.FetchResponseTopicPartition, given bool) (_ delivery, done bool) {
	if p == nil { // a broker that throttles names none
		return s.stale(w)
	}
	if p.ErrorCode != 0 {
		return delivery{err: fmt.Errorf("fetch from broker %d: %w", s.broker, kafkago.Error(p.ErrorCode))}, true
	}
	switch end := p.DivergingEpoch.EndOffset; {
	case end >= 0 && end < w.offset:
		return delivery{err: &partedError{end: end}}, true
	case end >= 0:
		// It has nothing of the epoch that was read last, and all of what was read: compaction may have taken it
		// before this replica came, or what it lacks is behind offset. It says so for as long as it is asked.
		w.readEpoch = noEpoch
		return delivery{}, false
	}
	if portion := portionOf(p); len(portion.batches) > 0 {
		return delivery{portion: portion}, true
	}
	switch {
	case given, p.HighWatermark <= w.offset:
		w.behind = time.Time{}
	case w.behind.IsZero():
		w.behind = time.Now()
	case time.Since(w.behind) >= failedEvery:
		return delivery{err: fmt.Errorf("fetch from broker %d: %w, and the log ends at %d", s.broker, errNothing, p.HighWatermark)}, true
	}
	return s.stale(w)
}

// stale answers a want that has waited for so long that another broker may have the messages.
func (s *source) stale(w *want) (_ delivery, done bool) {
	if time.Since(w.since) < leaderAfter {
		return delivery{}, false
	}
	return delivery{err: errElsewhere}, true
}
