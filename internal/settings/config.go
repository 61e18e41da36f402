package settings

import (
	"time"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
)

const (
	// MessageBytes is the largest message retry and dead-letter topics take:
	// the largest event, and as much again for headers.
	MessageBytes = 2 << 20
	// TierRetention is how long retries are kept, read or not: one that waits through an outage
	// is an order that stands nowhere else. Longer than the week that brokers keep records
	// by default, and not for ever: nobody removes those that have been worked on.
	TierRetention = 30 * 24 * time.Hour
	// lookAhead is how many batches' worth of waiting orders is considered for
	// one batch.
	lookAhead = 4
	// batchesPerWorker is how many batches there are for each worker at the most: the one
	// it has in its hands and one whose outcomes are being published.
	batchesPerWorker = 2
	// gatherFor is longer than a transaction takes as a rule (10 to 20 ms), and not long
	// for an order that has to wait for a batch in vain.
	gatherFor = 50 * time.Millisecond
	// deadWindow is the number of newest events the breaker looks at.
	deadWindow = 1000
	// partitionWindow is the most messages of one partition in flight: those
	// that wait, in every worker's batch, and behind one that does not end.
	partitionWindow = 20_000
)

// TopicSpecs are the topics of the group as they are created.
func (s Consumer) TopicSpecs() []kafka.TopicSpec {
	var specs []kafka.TopicSpec
	topics := s.Group.Topics()
	for _, name := range topics.All() {
		spec := kafka.TopicSpec{Name: name, Partitions: s.Topics.Partitions, Replication: s.Topics.Replication}
		if name != topics.Input && name != topics.Results {
			spec.MaxMessageBytes = MessageBytes
			spec.Retention = TierRetention
		}
		if name == topics.Dead {
			// What failed is kept until a person has looked at it, which may be after the
			// week that brokers keep records by default.
			spec.Retention = kafka.Forever
		}
		specs = append(specs, spec)
	}
	return specs
}

// MemberConfig is how the settings have the group joined and left. What depends
// on the cluster (topics, their delays, how they are made) is left to whoever
// knows it.
func (s Consumer) MemberConfig() kafka.ConsumerConfig {
	return kafka.ConsumerConfig{
		Group:            s.Group.Group,
		SessionTimeout:   s.Member.SessionTimeout,
		RebalanceTimeout: s.Member.SessionTimeout + s.Member.DrainTimeout,
		DrainTimeout:     s.Member.DrainTimeout,
		CommitEvery:      s.Member.CommitEvery,
		Window:           partitionWindow,
		AcceptDataLoss:   s.Member.AcceptDataLoss,
	}
}

// FlowConfig is how the settings have orders worked on.
func (s Consumer) FlowConfig() order.FlowConfig {
	return order.FlowConfig{
		Topics:  s.Group.Topics(),
		Group:   s.Group.Group,
		Workers: s.Flow.Workers,
		Scheduler: order.SchedulerConfig{
			MaxBatch:        s.Flow.BatchSize,
			MaxBatchLines:   s.Flow.BatchLines,
			MaxBatchBytes:   max(1, s.Flow.MaxWaitingBytes/(batchesPerWorker*s.Flow.Workers)), // all batches together: as much as waits
			LookAhead:       lookAhead * s.Flow.BatchSize,
			MaxWaiting:      s.Flow.MaxWaiting,
			MaxWaitingBytes: s.Flow.MaxWaitingBytes,
			ClaimAfter:      s.Flow.ClaimAfter,
			GatherFor:       gatherFor,
		},
		LockBudget:         s.Lock.Budget,
		LockRequired:       s.Lock.Mode == LockRequired,
		TransactionTimeout: s.Flow.TransactionTimeout,
		Horizon:            s.Dedup.Horizon,
	}
}

// BreakerConfig says when an instance stops because of its dead letters.
func (s *Consumer) BreakerConfig() order.BreakerConfig {
	return order.BreakerConfig{Window: deadWindow, MinDead: s.Flow.MinDead, MaxRatio: s.Flow.MaxDeadRatio}
}
