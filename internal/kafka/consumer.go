package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/order"
)

const (
	// joinRest is the wait after a generation that could not be had.
	joinRest = 500 * time.Millisecond
	// coordinatorTimeout bounds one answer of the group's coordinator, commits
	// included; when it is over the client cuts the connection, which ends the
	// generation. A coordinator whose copies have lost a broker holds a commit for 5 s
	// (offsets.commit.timeout.ms) and answers then: who cut the connection before would
	// make the whole group join again, beside what the broker costs by itself. Longer than
	// a session it is not: the others have our partitions then.
	coordinatorTimeout = 6 * time.Second
	// closeTimeout bounds the end of what the client closes: with the broker
	// unreachable that can take minutes.
	closeTimeout = 2 * time.Second
	// watchPartitions is how soon new partitions of a topic are noticed.
	watchPartitions = 5 * time.Second
	// heartbeatMost is the longest time between two heartbeats. A heartbeat is how
	// a member learns that another one has left, come, or is taken for dead, and the
	// group comes together when the last one has learned it: of the second that a
	// takeover may take beyond the session timeout, half went by like this with 500 ms.
	// It costs four requests a second, which the coordinator answers from memory.
	heartbeatMost = 250 * time.Millisecond
	// idleShout is how long a member may be without any partition before it
	// says so: the usual reason is more instances than partitions.
	idleShout = 30 * time.Second
)

// ConsumerConfig says how a group is joined and left.
type ConsumerConfig struct {
	// Group is the consumer group.
	Group string
	// Topics are read together.
	Topics []string
	// Delays are those of the topics whose messages wait for their time, and how
	// long at the most.
	Delays map[string]time.Duration
	// Ensure creates topics that are missing. It is called when the group is
	// given nothing to read.
	Ensure func(context.Context) error
	// SessionTimeout is how long the brokers wait for a sign of life: a killed
	// instance's partitions are taken over after this. Below 6 s a busy machine
	// is taken for a dead one.
	SessionTimeout time.Duration
	// RebalanceTimeout is how long the others wait for a member to give its
	// partitions up. It is more than DrainTimeout.
	RebalanceTimeout time.Duration
	// DrainTimeout is how long what is in flight may take to end when
	// partitions are given up. No heartbeats are sent meanwhile, so it is less
	// than SessionTimeout.
	DrainTimeout time.Duration
	// CommitEvery is the time between two commits. What a crash repeats is at
	// most what was settled in it and what was in flight.
	CommitEvery time.Duration
	// Window is the most messages of one partition in flight.
	Window int
	// AcceptDataLoss goes on when messages were removed before they were read.
	AcceptDataLoss bool
	// Crash is called at the points of the way; nil: nobody wants a crash.
	Crash crash.Hook
}

// Observer is told what the group does. Its methods must not block.
type Observer interface {
	SendObserver
	// Consumed reports n messages read.
	Consumed(topic string, partition, n int)
	// Assigned reports how many partitions of topic this member has.
	Assigned(topic string, partitions int)
	// Rebalanced reports that a generation begins.
	Rebalanced()
	// CommitFailed reports a commit that was not confirmed.
	CommitFailed()
	// LostToRetention reports messages that were removed before being read.
	LostToRetention(messages int64)
	// Joined reports whether the member has its place in the group.
	Joined(joined bool)
	// Unsettled reports when the first message of a partition of this member that
	// is read and not settled was appended (zero: there is none).
	Unsettled(topic string, partition int, appended time.Time)
	// OldestInFlight reports when the oldest message in flight was read (zero:
	// none is).
	OldestInFlight(since time.Time)
}

// Consumer is a member of a consumer group. For each generation it makes a new
// flow, so that nothing of an old assignment can reach the new one.
type Consumer struct {
	client   *Client
	cfg      ConsumerConfig
	newFlow  func() *order.Flow
	observer Observer
	log      *slog.Logger
	parted   map[partitionID]string // what could not be committed, see commitParted; Run's own
	read     map[partitionID]read   // in the generation before; Run's own
}

// NewConsumer returns a member that has not joined yet.
func (c *Client) NewConsumer(cfg ConsumerConfig, newFlow func() *order.Flow, observer Observer, log *slog.Logger) *Consumer {
	return &Consumer{client: c, cfg: cfg, newFlow: newFlow, observer: observer, log: log, parted: make(map[partitionID]string)}
}

// Run reads until take ends; then it stops reading, lets what is in flight
// come to its end, commits, and leaves the group. When work ends, what is in
// flight is abandoned. It returns an error when it must not go on:
// order.ErrTooManyDead or ErrDataLoss.
func (c *Consumer) Run(take, work context.Context) error {
	group, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID:                     c.cfg.Group,
		Brokers:                c.client.cfg.Brokers,
		Dialer:                 c.client.groupDialer(),
		Topics:                 c.cfg.Topics,
		GroupBalancers:         []kafkago.GroupBalancer{kafkago.RangeGroupBalancer{}},
		HeartbeatInterval:      min(c.cfg.SessionTimeout/6, heartbeatMost),
		SessionTimeout:         c.cfg.SessionTimeout,
		RebalanceTimeout:       c.cfg.RebalanceTimeout,
		JoinGroupBackoff:       joinRest,
		WatchPartitionChanges:  true,
		PartitionWatchInterval: watchPartitions,
		StartOffset:            kafkago.FirstOffset,
		Timeout:                min(coordinatorTimeout, c.cfg.SessionTimeout),
	})
	if err != nil {
		return fmt.Errorf("join group %s: %w", c.cfg.Group, err)
	}
	defer c.close(work, group)
	defer c.observer.Joined(false)
	known, stopLeaving := c.leaver(take)
	defer stopLeaving()
	for {
		generation, err := group.Next(take)
		if take.Err() != nil {
			return nil
		}
		if err != nil {
			c.observer.Joined(false)
			if !errors.Is(err, kafkago.RebalanceInProgress) { // with which the client may stay who it is
				known("")
			}
			c.log.WarnContext(take, "group not joined, trying again", "group", c.cfg.Group, "error", err)
			err = sleep(take, joinRest)
			if err != nil {
				return nil // told to stop
			}
			continue
		}
		known(generation.MemberID)
		ended := make(chan error, 1)
		generation.Start(func(ctx context.Context) {
			err := c.serve(take, work, ctx, generation)
			if err != nil || take.Err() != nil {
				leave(group)
			}
			ended <- err
		})
		began := time.Now()
		err = <-ended
		if err != nil {
			return err
		}
		c.settleDown(take, generation, time.Since(began))
	}
}

// settleDown rests after a generation that ended at once. The usual reason is
// a topic of the group that was deleted: the client then assigns nothing to
// anybody and ends each generation as soon as it begins, without an error.
func (c *Consumer) settleDown(ctx context.Context, g *kafkago.Generation, lived time.Duration) {
	if lived > joinRest || ctx.Err() != nil {
		return
	}
	if len(assigned(g)) == 0 {
		err := c.cfg.Ensure(ctx)
		if err != nil {
			c.log.WarnContext(ctx, "topics of the group are missing", "topics", c.cfg.Topics, "error", err)
		}
	}
	_ = sleep(ctx, joinRest) // an end of ctx is noticed by the caller
}

// close leaves the group. A join that is under way cannot be called off: whoever
// went without waiting for its end would leave a member behind that is given
// partitions and reads none, until its session ends. When work ends it is not waited
// for any longer.
func (c *Consumer) close(work context.Context, group *kafkago.ConsumerGroup) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = group.Close() // it has no error
	}()
	select {
	case <-closed:
		return
	case <-work.Done():
	case <-time.After(c.cfg.RebalanceTimeout + coordinatorTimeout): // no join takes longer
	}
	select {
	case <-closed:
	case <-time.After(closeTimeout):
	}
}

// leave makes the group leave when the current generation's function returns.
// Called after it has returned would be too late: the group joins again at
// once, and the others then wait for a member that is going away.
func leave(group *kafkago.ConsumerGroup) {
	go group.Close() //nolint:errcheck // Run closes again and waits
	// Next answers as soon as Close has begun: no other generation can come
	// while this one's function has not returned.
	_, _ = group.Next(context.Background())
}

// serve works for one generation: until it ends, or take does. It returns when
// nothing of it is left running.
func (c *Consumer) serve(take, work, generation context.Context, g *kafkago.Generation) error {
	take, stopTaking := context.WithCancel(take)
	defer stopTaking()
	// The generation's context has no parent: tie the two together.
	defer context.AfterFunc(generation, stopTaking)()
	a := c.assign(take, g)
	return a.run(take, work)
}

// assign turns a generation into partitions to read.
func (c *Consumer) assign(ctx context.Context, g *kafkago.Generation) *assignment {
	inputs, all := 0, 0
	for topic, partitions := range g.Assignments {
		all += len(partitions)
		if !c.isTier(topic) {
			inputs += len(partitions)
		}
	}
	a := &assignment{consumer: c, generation: g, flow: c.newFlow(), inputs: newInputsFirst(inputs), feeds: c.client.newFeeds(all),
		committed: make(map[*partition]int64)}
	c.observer.Rebalanced()
	parted := c.partedIn(ctx, g)
	total := 0
	for _, topic := range c.cfg.Topics {
		c.observer.Assigned(topic, len(g.Assignments[topic]))
		for _, p := range g.Assignments[topic] {
			total++
			a.add(topic, p.ID, p.Offset, parted[partitionID{topic, p.ID}])
		}
	}
	c.log.InfoContext(ctx, "partitions assigned", "group", c.cfg.Group,
		"generation", g.ID, "partitions", total, "of", assigned(g))
	c.observer.Joined(true)
	return a
}

// isTier reports whether the messages of topic wait for their time.
func (c *Consumer) isTier(topic string) bool {
	_, delayed := c.cfg.Delays[topic]
	return delayed
}

func assigned(g *kafkago.Generation) map[string][]int {
	ids := make(map[string][]int)
	for topic, partitions := range g.Assignments {
		for _, p := range partitions {
			ids[topic] = append(ids[topic], p.ID)
		}
		slices.Sort(ids[topic])
	}
	return ids
}
