package app

import (
	"context"
	"errors"
	"fmt"

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
