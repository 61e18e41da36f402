package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// feeds are the sources of one assignment, one for each broker that leads any of its
// partitions.
type feeds struct {
	client *Client
	most   int // bytes of one portion

	mutex   sync.Mutex
	sources map[int32]*source
	topics  map[string]bool
	running sync.WaitGroup

	layout layout
}

// newFeeds is for so many partitions.
func (c *Client) newFeeds(partitions int) *feeds {
	return &feeds{
		client: c, sources: make(map[int32]*source), topics: make(map[string]bool),
		layout: layout{looking: make(chan struct{}, 1)},
		most:   min(max(portionLeast, portionsBytes/max(1, partitions)), portionMost),
	}
}

// source is that of a broker. It runs until ctx ends, which is one for all.
func (f *feeds) source(ctx context.Context, broker int32) *source {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	s := f.sources[broker]
	if s == nil {
		s = &source{client: f.client, broker: broker, most: f.most,
			expected: make(map[*feed]time.Time), changed: make(chan struct{}, 1), looks: make(chan struct{}, 1)}
		f.sources[broker] = s
		f.running.Go(func() { s.run(ctx) })
	}
	return s
}

// wait returns when no source runs any more.
func (f *feeds) wait() { f.running.Wait() }

// feed is where one partition's messages come from. It is for one goroutine.
type feed struct {
	feeds     *feeds
	topic     string
	partition int
	source    *source   // of the broker that leads the partition; nil: to be looked up
	epoch     int32     // of the newest leader that was heard of
	older     time.Time // since when brokers tell of none that is as new; zero: they do not
	failed    int32     // the broker that is not to be asked who leads, because it has failed
	failedAt  time.Time // when the partition was last to be looked up anew; zero: never
	answers   chan delivery
}

// add is for the time before any partition is read.
func (f *feeds) add(topic string, partition int) *feed {
	f.topics[topic] = true
	// There is one delivery for each want, and one want at a time.
	return &feed{feeds: f, topic: topic, partition: partition, epoch: noEpoch, failed: noBroker, answers: make(chan delivery, 1)}
}

// next waits for messages from an offset on; read is the epoch in which those before it were
// appended. It fails when the broker does, or ctx ends, and with a partedError.
func (f *feed) next(ctx context.Context, offset int64, read int32) (portion, error) {
	for first := true; ; first = false {
		err := f.find(ctx)
		if err != nil {
			return portion{}, err
		}
		f.source.want(&want{feed: f, since: time.Now(),
			wanted: wanted{topic: f.topic, partition: f.partition, offset: offset, most: f.source.most, epoch: f.epoch, readEpoch: read}})
		var d delivery
		select {
		case d = <-f.answers:
		case <-ctx.Done():
			return portion{}, ctx.Err()
		}
		if d.err == nil {
			return d.portion, nil
		}
		f.failed, f.failedAt, f.source = f.source.broker, d.at, nil
		if errors.Is(d.err, kafkago.FencedLeaderEpoch) {
			f.failed = noBroker // it knows a newer leader than we do, and may be that
		}
		switch {
		case errors.Is(d.err, errElsewhere):
		case first && deposed(d.err):
		default:
			return portion{}, d.err
		}
	}
}

// deposed reports whether err says that the broker which was asked does not lead the partition
// any more, or does in another epoch.
func deposed(err error) bool {
	return errors.Is(err, kafkago.NotLeaderForPartition) || errors.Is(err, errDeposed) ||
		errors.Is(err, kafkago.FencedLeaderEpoch) || errors.Is(err, kafkago.UnknownLeaderEpoch)
}

// find looks up who leads the partition, if that is not known. The client's own word for it
// may be seconds old, and is taken for the first time, or where no broker can be asked.
func (f *feed) find(ctx context.Context) error {
	if f.source != nil {
		return nil
	}
	if !f.failedAt.IsZero() {
		led, err := f.feeds.leader(ctx, f)
		switch {
		case err == nil:
			return f.follow(ctx, led)
		case errors.Is(err, kafkago.LeaderNotAvailable):
			f.failedAt = time.Now() // the next time it may have one
			return err
		}
		f.older = time.Time{} // nobody has answered: that is no word about the leader
	}
	leaders, err := f.feeds.client.leaders(ctx, []string{f.topic})
	if err != nil {
		return err
	}
	led, ok := leaders[f.topic][f.partition]
	if !ok {
		return fmt.Errorf("%s/%d: %w", f.topic, f.partition, kafkago.LeaderNotAvailable)
	}
	if f.deposes(led) { // so does the client's memory, all through an outage
		f.failed, f.failedAt = noBroker, time.Now()
		return f.oldLeader(led)
	}
	return f.follow(ctx, led)
}

// noBroker is the id of none.
const noBroker = -1

// errOldLeader: who was asked for the leader has not heard of the newest one.
var errOldLeader = errors.New("the leader that is told was deposed")

// follow makes led the leader that is asked. An older one than was heard of is told by a broker that
// stood still for a while, or is cut off from the controllers. That one would say that the log is shorter than
// what was read of it, and is asked nothing: any broker, the last leader too, is asked for another one. Where all
// that answer have told of older ones for long, the topic was made anew, and the epochs of its leaders
// begin again: then it is asked, and says itself whether its log is the one that was read.
func (f *feed) follow(ctx context.Context, led leader) error {
	now := time.Now()
	switch {
	case !f.deposes(led):
		f.epoch = max(f.epoch, led.epoch) // a server may leave it out now and then
	case f.older.IsZero():
		f.older = now
		fallthrough
	case now.Sub(f.older) < leaderAfter:
		f.failed, f.failedAt = noBroker, now
		return f.oldLeader(led)
	default:
		f.epoch = led.epoch
	}
	f.older = time.Time{}
	f.source = f.feeds.source(ctx, led.broker)
	return nil
}

// deposes reports whether a newer leader than led was heard of.
func (f *feed) deposes(led leader) bool { return led.epoch >= 0 && led.epoch < f.epoch }

func (f *feed) oldLeader(led leader) error {
	return fmt.Errorf("%s/%d: %w: broker %d in epoch %d, and there is one in epoch %d", f.topic, f.partition, errOldLeader, led.broker, led.epoch, f.epoch)
}

func (f *feed) deliver(d delivery) { f.answers <- d }

// leave says that the next messages will not be wanted soon.
func (f *feed) leave() {
	if f.source != nil {
		f.source.leave(f)
	}
}

// look asks something about the partition's log. Of one broker's partitions one asks at a
// time: each question takes a connection, and some have hundreds.
func (f *feed) look(ctx context.Context, ask func() error) error {
	err := f.find(ctx)
	if err != nil {
		return err
	}
	looks := f.source.looks
	select {
	case looks <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-looks }()
	return ask()
}
