package order

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// elsewhereFor is how long it is remembered that somebody else keeps goods. A
	// look that finds them free forgets it at once, one that does not begins the
	// time anew.
	elsewhereFor = 30 * time.Second

	// elsewhereMost bounds the goods that are remembered.
	elsewhereMost = 100

	// lookEvery is how long goods that somebody was seen to keep are not looked at
	// again: the orders for them are refused unasked.
	lookEvery = time.Second

	// lookFor is how long a look may wait: longer than another instance that works
	// on the same goods keeps them in one go, and leaves them to others after it.
	lookFor = keepShared + 5*yieldFor

	// lookMost bounds all looks of one batch, after which what is left is refused
	// unasked, too. The other workers wait at the door meanwhile.
	lookMost = 2 * lookFor
)

// heldElsewhere are the goods that somebody else kept for longer than the lock
// budget. A batch that wants some of them looks whether they are free again, now and
// then, instead of waiting: one goods that another service keeps for an hour would
// else cost every batch with an order for it the whole budget, and with it all other
// orders. The door of the tenures guards it.
type heldElsewhere map[string]sighting

// sighting is when goods were seen with somebody else.
type sighting struct {
	last  time.Time
	until time.Time // it is remembered
}

func (e heldElsewhere) note(goods string) {
	if _, known := e[goods]; known || len(e) < elsewhereMost {
		now := time.Now()
		e[goods] = sighting{last: now, until: now.Add(elsewhereFor)}
	}
}

// forget is told of goods that have been locked.
func (e heldElsewhere) forget(goods []string) {
	if len(e) == 0 {
		return
	}
	for _, id := range goods {
		delete(e, id)
	}
}

// among returns those of the goods that were seen with somebody else only just now,
// and those that are worth another look.
func (e heldElsewhere) among(goods []string) (fresh, due []string) {
	if len(e) == 0 {
		return nil, nil
	}
	now := time.Now()
	for _, id := range goods {
		seen, known := e[id]
		switch {
		case !known:
		case now.After(seen.until):
			delete(e, id)
		case now.Sub(seen.last) < lookEvery:
			fresh = append(fresh, id)
		default:
			due = append(due, id)
		}
	}
	return fresh, due
}

// avoid refuses the orders whose goods somebody else still keeps. The door is held.
// Goods that are free again are locked with the others: what a look locks is given
// back, because nobody may wait for some goods while holding others.
func (h *hold) avoid(ctx context.Context, b *batch, refused refusedGoods) {
	f := h.flow
	fresh, due := f.tenures.elsewhere.among(h.goods)
	h.without(b, fresh, refused)
	if len(due) == 0 || !f.gate.isOpen(f.cfg.LockRequired) {
		return
	}
	f.idle(ctx) // a look may last, and nothing that nobody uses stays locked meanwhile
	began, budget := time.Now(), lookFor
	for len(due) > 0 {
		if time.Since(began) >= lookMost {
			h.without(b, due, refused)
			return
		}
		lease, err := h.lock(ctx, due, budget)
		var locked *GoodsLockedError
		switch {
		case err == nil:
			f.tenures.elsewhere.forget(due)
			f.unlock(ctx, lease)
			return
		case f.hurried.Err() != nil || !errors.As(err, &locked):
			return // told to stop, or no answer: whoever locks the goods finds out
		}
		f.tenures.elsewhere.note(locked.Goods)
		h.without(b, []string{locked.Goods}, refused)
		due = slices.DeleteFunc(due, func(id string) bool { return id == locked.Goods })
		budget = lockAfterBudget
	}
}

// without refuses the orders of the batch that want any of the goods.
func (h *hold) without(b *batch, goods []string, refused refusedGoods) {
	for _, id := range goods {
		h.flow.deps.Observer.LockFailed(LockTimeout)
		h.goods = refused.add(h.flow, b.tasks, &GoodsLockedError{Goods: id})
	}
}
