package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"

	"orderconsumer/internal/lock"
	"orderconsumer/internal/stock"
)

const (
	inStock = 10
	wanted  = 10 // by each of two orders
)

// paused: the textbook reads, computes and writes under the lock, and believes
// in it.
func paused(ctx context.Context, w *world) (told [2]string, err error) {
	told[0], err = pausedTextbook(ctx, w)
	if err == nil {
		told[1], err = pausedHere(ctx, w)
	}
	return told, err
}

func pausedTextbook(ctx context.Context, w *world) (string, error) {
	_, err := w.table.ExecContext(ctx, "INSERT INTO "+w.stockOf+" VALUES(?,?)", w.goods, inStock)
	if err != nil {
		return "", err
	}
	sold := 0
	sell := func(held func() error) error {
		mutex := w.textbook.NewMutex("textbook:"+w.goods, redsync.WithExpiry(expiry))
		if err := mutex.LockContext(ctx); err != nil {
			return err
		}
		var available int
		err := w.table.QueryRowContext(ctx, "SELECT available FROM "+w.stockOf+" WHERE goods_id=?", w.goods).Scan(&available)
		if err != nil || available < wanted {
			return err
		}
		if err := held(); err != nil {
			return err
		}
		_, err = w.table.ExecContext(ctx, "UPDATE "+w.stockOf+" SET available=? WHERE goods_id=?", available-wanted, w.goods)
		sold += wanted
		_, _ = mutex.UnlockContext(ctx) // as everybody does
		return err
	}
	err = sell(func() error { // the first shop is paused while it holds the lock
		if err := rest(ctx); err != nil {
			return err
		}
		return sell(func() error { return nil }) // and the second finds it free
	})
	return fmt.Sprintf("sold %d of %d", sold, inStock), err
}

func pausedHere(ctx context.Context, w *world) (string, error) {
	if _, err := w.ledger.Set(ctx, "", stock.Line{Goods: w.goods, Num: inStock}); err != nil {
		return "", err
	}
	sold, lost, short := int64(0), false, ""
	sell := func(order string, held func() error) error {
		lease, err := w.locker.Lock(ctx, []string{w.goods})
		if err != nil {
			return err
		}
		defer func() { _ = lease.Unlock(ctx) }() // that it was lost is told by Lost
		if err := held(); err != nil {
			return err
		}
		select {
		case <-lease.Lost():
			lost = true // the consumer would stop here; go on, to see who keeps the promise
		default:
		}
		got, err := w.ledger.Apply(ctx, []stock.Request{{
			Order: order, Action: stock.Deduct, Attempt: 1, Lines: []stock.Line{{Goods: w.goods, Num: wanted}},
		}})
		if err != nil {
			return err
		}
		if record := got[0].Record; record.State == stock.Deducted {
			sold += wanted
		} else {
			short = fmt.Sprintf("%s was %s, %d wanted and %d there", "the paused order", record.State, wanted, record.Shortages[0].Available)
		}
		return nil
	}
	err := sell(w.goods+"-1", func() error {
		if err := rest(ctx); err != nil {
			return err
		}
		return sell(w.goods+"-2", func() error { return nil })
	})
	return fmt.Sprintf("sold %d of %d; lock lost: %v; %s", sold, inStock, lost, short), err
}

// cancelled: a client that goes away cancels the context of its request.
func cancelled(ctx context.Context, w *world) (told [2]string, err error) {
	request, cancel := context.WithCancel(ctx)
	defer cancel()
	mutex := w.textbook.NewMutex("textbook:"+w.goods, redsync.WithExpiry(expiry))
	if err := mutex.LockContext(ctx); err != nil {
		return told, err
	}
	lease, err := w.locker.Lock(ctx, []string{w.goods})
	if err != nil {
		return told, err
	}
	cancel()
	_, unlockErr := mutex.UnlockContext(request)
	next := w.textbook.NewMutex("textbook:"+w.goods, redsync.WithExpiry(expiry))
	told[0] = fmt.Sprintf("unlocked: %v; the next one finds it %s", unlockErr == nil, freeOrTaken(next.TryLockContext(ctx)))
	unlockErr = lease.Unlock(request)
	again, err := w.locker.Lock(ctx, []string{w.goods})
	told[1] = fmt.Sprintf("unlocked: %v; the next one finds it %s", unlockErr == nil, freeOrTaken(err))
	if err == nil {
		err = again.Unlock(ctx)
	}
	return told, errors.Join(err, rest(ctx))
}

func freeOrTaken(err error) string {
	if err != nil {
		return "taken, until it expires"
	}
	return "free"
}

// sameServer: two of two must agree, and the second is the first.
func sameServer(ctx context.Context, w *world) (told [2]string, err error) {
	pool := goredis.NewPool(w.clients[0])
	mutex := redsync.New(pool, pool).NewMutex("textbook:"+w.goods, redsync.WithExpiry(expiry), redsync.WithTries(3))
	told[0] = fmt.Sprintf("nobody holds the lock; taken: %v after 3 tries", mutex.LockContext(ctx) == nil)
	_, err = lock.NewClients([]string{w.redisURL, w.redisURL, w.redisURL}, lock.ClientConfig{})
	if !errors.Is(err, lock.ErrSameServer) {
		return told, fmt.Errorf("three times one server: %w", err)
	}
	told[1] = "refused at the start: " + lock.ErrSameServer.Error()
	return told, rest(ctx)
}

// extended: the option sets a lock again that has expired, whoever held it in
// between.
func extended(ctx context.Context, w *world) (told [2]string, err error) {
	first := w.textbook.NewMutex("textbook:"+w.goods, redsync.WithExpiry(expiry), redsync.WithSetNXOnExtend())
	if err := first.LockContext(ctx); err != nil {
		return told, err
	}
	lease, err := w.locker.Lock(ctx, []string{w.goods})
	if err != nil {
		return told, err
	}
	if err := rest(ctx); err != nil {
		return told, err
	}
	second := w.textbook.NewMutex("textbook:"+w.goods, redsync.WithExpiry(expiry))
	if err := second.LockContext(ctx); err != nil {
		return told, err
	}
	if _, err := second.UnlockContext(ctx); err != nil {
		return told, err
	}
	ok, _ := first.ExtendContext(ctx)
	told[0] = fmt.Sprintf("the first is told that it holds the lock: %v", ok)
	select {
	case <-lease.Lost():
		told[1] = "the first is told that it lost the lock: true"
	case <-time.After(pause):
		return told, errors.New("a lease that expired is not lost")
	}
	return told, nil
}
