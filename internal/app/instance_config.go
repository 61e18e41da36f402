package app

import (
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
)

// MemberConfig is how the settings have the group joined and left. What depends
// on the cluster (topics, their delays, how they are made) is left to whoever
// knows it.
func (s ConsumerSettings) MemberConfig() kafka.ConsumerConfig {
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
func (s ConsumerSettings) FlowConfig() order.FlowConfig {
	return order.FlowConfig{
		Topics:  s.Group.topics(),
		Group:   s.Group.Group,
		Workers: s.Flow.Workers,
		Scheduler: order.SchedulerConfig{
			MaxBatch:        s.Flow.BatchSize,
			MaxBatchLines:   s.Flow.BatchLines,
			MaxBatchBytes:   max(1, s.Flow.MaxWaitingBytes/s.Flow.Workers), // all batches together: as much as waits
			LookAhead:       lookAhead * s.Flow.BatchSize,
			MaxWaiting:      s.Flow.MaxWaiting,
			MaxWaitingBytes: s.Flow.MaxWaitingBytes,
			ClaimAfter:      s.Flow.ClaimAfter,
			GatherFor:       gatherFor,
		},
		LockBudget:         s.Lock.Budget,
		LockRequired:       s.Lock.Mode == lockRequired,
		TransactionTimeout: s.Flow.TransactionTimeout,
		Horizon:            s.Dedup.Horizon,
		Breaker: order.BreakerConfig{
			Window:   deadWindow,
			MinDead:  s.Flow.MinDead,
			MaxRatio: s.Flow.MaxDeadRatio,
		},
	}
}
