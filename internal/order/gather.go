package order

import (
	"context"
	"time"
)

// gatherShare is the part of a full batch that is taken although it could still grow.
const gatherShare = 2

// gathering is how long a worker is to leave what waits for itself to gather, while another
// worker is at work; zero: not at all. It is Nagle's rule (RFC 896), for transactions: who
// has nothing under way begins at once, with one message if there is no more, and what comes
// meanwhile goes together. When every worker took what little there was, half of the greatest load
// came in transactions of 80 messages, two at a time, each in the other's way: the
// database had a quarter more to do, and one order in a hundred took twice as long. What is
// blocked for other reasons does not count. The mutex is held.
func (s *scheduler) gathering() time.Duration {
	if s.cfg.GatherFor <= 0 || s.working == 0 || s.closed || len(s.waiting) == 0 ||
		len(s.waiting)*gatherShare >= s.cfg.MaxBatch || len(s.waiting) >= s.cfg.MaxWaiting || s.cfg.MaxBatchBytes > 0 && s.bytes*gatherShare >= s.cfg.MaxBatchBytes {
		return 0
	}
	return max(0, s.cfg.GatherFor-s.now().Sub(s.waiting[min(s.blocked, len(s.waiting)-1)].since))
}

// awaitWork waits until something may be takeable: at the latest, unless that is zero, when rest is over.
func (s *scheduler) awaitWork(ctx context.Context, rest time.Duration) {
	if rest > 0 {
		// With the mutex, or the broadcast could come before the wait.
		defer time.AfterFunc(rest, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.work.Broadcast()
		}).Stop()
	}
	s.await(ctx, s.work)
}

// batchDone notes that a worker has no batch in its hands any more.
func (s *scheduler) batchDone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working--
	s.work.Signal() // what has gathered may be taken
}
