package instance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/job"
	"orderconsumer/internal/lock"
	"orderconsumer/internal/order"
)

// GoodsLocker is the set lock as the flow knows it.
type GoodsLocker struct{ *lock.Locker }

// Lock implements order.Locker.
func (l GoodsLocker) Lock(ctx context.Context, goods []string) (order.Lease, error) {
	lease, err := l.Locker.Lock(ctx, goods)
	if err == nil {
		return lease, nil
	}
	var taken *lock.TakenError
	switch {
	case errors.As(err, &taken):
		return nil, &order.GoodsLockedError{Goods: taken.Name}
	case errors.Is(err, lock.ErrUnavailable):
		return nil, fmt.Errorf("%w: %w", order.ErrLockUnavailable, err)
	default:
		return nil, err
	}
}

// JobLocker is the set lock as jobs know it: sets of one name, and no waiting.
type JobLocker struct{ *lock.Locker }

// jobLockPatience is for the answer of Redis; who finds the lock taken does not
// wait for it.
const jobLockPatience = 100 * time.Millisecond

// NewJobLocker makes the locker of a group's jobs: other groups have other jobs.
func NewJobLocker(clients []redis.UniversalClient, group string, lease time.Duration) (*lock.Locker, error) {
	return lock.New(clients, lock.Config{
		Prefix: "lock:{job}:" + group + ":",
		Expiry: job.LockExpiry(lease),
		// Who finds it taken looks again much later than a batch that waits for goods.
		PollMin: jobLockPatience,
		PollMax: 2 * jobLockPatience,
	})
}

// TryLock implements job.Locker.
func (l JobLocker) TryLock(ctx context.Context, name string) (job.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, jobLockPatience)
	defer cancel()
	lease, err := l.Lock(ctx, []string{name})
	switch {
	case err == nil:
		return lease, nil
	case errors.Is(err, lock.ErrTaken):
		return nil, fmt.Errorf("%w: %w", job.ErrLocked, err)
	case errors.Is(err, lock.ErrUnavailable):
		return nil, fmt.Errorf("%w: %w", job.ErrLockUnavailable, err)
	default:
		return nil, err
	}
}
