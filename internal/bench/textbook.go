package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"

	"orderconsumer/internal/lock"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

const (
	// workers is how many orders the one-by-one ways work on at a time.
	workers = 16
	// mutexExpiry and mutexTries are those of the textbook.
	mutexExpiry = 10 * time.Second
	mutexTries  = 5
	// unlockTimeout bounds the release of a mutex, which no cancellation
	// reaches.
	unlockTimeout = time.Second
)

// textbook is Sell as everybody writes it: lock, read, check, save, unlock.
func (m *measurement) textbook(ctx context.Context) (Run, error) {
	return m.oneByOne(ctx, func(rs *redsync.Redsync) locker {
		return func(*stock.Request) []*redsync.Mutex {
			return []*redsync.Mutex{rs.NewMutex("lock:{"+m.Group+"}:sell",
				redsync.WithExpiry(mutexExpiry), redsync.WithTries(mutexTries))}
		}
	})
}

// perGoods lets orders of other goods go on: a mutex for each goods, taken in
// the order of the ids, so that no two orders wait for each other.
func (m *measurement) perGoods(ctx context.Context) (Run, error) {
	return m.oneByOne(ctx, func(rs *redsync.Redsync) locker {
		return func(req *stock.Request) []*redsync.Mutex {
			mutexes := make([]*redsync.Mutex, len(req.Lines))
			for i, line := range req.Lines { // sorted, each goods once
				mutexes[i] = rs.NewMutex("lock:{"+m.Group+"}:"+line.Goods,
					redsync.WithExpiry(mutexExpiry), redsync.WithTries(mutexTries),
					redsync.WithRetryDelayFunc(soon))
			}
			return mutexes
		}
	})
}

// soon is a pause of about as long as a goods is held. With the library's own,
// 50 to 250 ms, the goods would be free for most of the time that others wait
// for it.
func soon(int) time.Duration {
	const shortest, longest = time.Millisecond, 6 * time.Millisecond
	return shortest + rand.N(longest-shortest)
}

// locker names the mutexes that an order needs, in the order they are taken.
type locker func(*stock.Request) []*redsync.Mutex

// oneByOne settles the topic with one order in a transaction under mutexes.
func (m *measurement) oneByOne(ctx context.Context, newLocker func(*redsync.Redsync) locker) (Run, error) {
	s, err := openShop(ctx, m.Servers.DatabaseURL)
	if err != nil {
		return Run{}, err
	}
	defer s.close()
	clients, err := lock.NewClients([]string{m.Servers.RedisURL}, lock.ClientConfig{Name: "bench", PoolSize: workers})
	if err != nil {
		return Run{}, err
	}
	defer clients[0].Close() //nolint:errcheck // nothing is in flight
	mutexes := newLocker(redsync.New(goredis.NewPool(clients[0])))

	results := order.NewTopics(m.Topic, m.Group, nil).Results
	sell := func(ctx context.Context, message *order.Message) (order.Message, error) {
		event, err := order.Decode(message)
		if err != nil || event.Type != order.Created {
			return order.Message{}, fmt.Errorf("event of type %q: the shapes have orders alone: %w", event.Type, err)
		}
		req := stock.Request{
			Order: event.OrderID, Action: stock.Deduct, Lines: event.Lines, Attempt: 1,
			Origin: stock.Origin{Topic: message.Topic, Partition: message.Partition, Offset: message.Offset},
		}
		for {
			record, err := sellLocked(ctx, s, mutexes(&req), &req)
			if errors.Is(err, errAgain) {
				continue
			}
			if err != nil {
				return order.Message{}, err
			}
			outcome := order.OutcomeOf(event, record)
			return outcome.Message(results, nil), nil
		}
	}
	return m.consume(ctx, sell)
}

// sellLocked sells the order while it has its mutexes. One that is not to be
// had in all its tries is errAgain: the order waits for its turn.
func sellLocked(ctx context.Context, s *shop, mutexes []*redsync.Mutex, req *stock.Request) (stock.Record, error) {
	for _, mutex := range mutexes {
		err := mutex.LockContext(ctx)
		if ctx.Err() != nil {
			return stock.Record{}, ctx.Err()
		}
		if err != nil {
			return stock.Record{}, fmt.Errorf("%w: lock %s: %w", errAgain, mutex.Name(), err)
		}
		defer unlock(ctx, mutex)
	}
	return s.sell(ctx, req)
}

// unlock gives a mutex back. One that has expired is gone in any case: the
// rows' own locks have guarded the stock.
func unlock(ctx context.Context, mutex *redsync.Mutex) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
	defer cancel()
	_, _ = mutex.UnlockContext(ctx)
}
