package order

import (
	"context"
	"errors"
	"time"
)

const (
	// elsewhereFor is how long it is remembered that somebody else keeps goods. A
	// look that finds them free forgets it at once, one that does not begins the
	// time anew.
	elsewhereFor = 30 * time.Second

	// elsewhereMost bounds the goods that are remembered. Each that a batch wants
	// may cost it lockAfterBudget.
	elsewhereMost = 100
)

// heldElsewhere are the goods that somebody else kept for longer than the lock budget,
// and until when that is remembered. A batch that wants some of them looks whether
// they are free again instead of waiting: one goods that another service keeps for
// an hour would else cost every batch with an order for it the whole budget, and
// with it all other orders. The door of the tenures guards it.
type heldElsewhere map[string]time.Time

func (e heldElsewhere) note(goods string) {
	if _, known := e[goods]; known || len(e) < elsewhereMost {
		e[goods] = time.Now().Add(elsewhereFor)
	}
}

func (e heldElsewhere) forget(goods []string) {
	for _, id := range goods {
		delete(e, id)
	}
}

// among returns those of the goods that are remembered.
func (e heldElsewhere) among(goods []string) []string {
	if len(e) == 0 {
		return nil
	}
	var known []string
	for _, id := range goods {
		until, found := e[id]
		switch {
		case !found:
		case time.Now().After(until):
			delete(e, id)
		default:
			known = append(known, id)
		}
	}
	return known
}

// avoid refuses the orders whose goods somebody else still keeps, after one look
// at each of those goods. The door is held. Goods that are free again are locked
// with the others: what this look locks is given back, because nobody may wait for
// some goods while holding others.
func (h *hold) avoid(ctx context.Context, b *batch, refused refusedGoods) {
	if !h.flow.gate.isOpen(h.flow.cfg.LockRequired) {
		return
	}
	tenures := &h.flow.tenures
	for known := tenures.elsewhere.among(h.goods); len(known) > 0; known = tenures.elsewhere.among(h.goods) {
		lease, err := h.lock(ctx, known, lockAfterBudget)
		var locked *GoodsLockedError
		switch {
		case err == nil:
			tenures.elsewhere.forget(known)
			h.flow.unlock(ctx, lease)
			return
		case h.flow.calm.Err() != nil || !errors.As(err, &locked):
			return // told to stop, or no answer: whoever locks the goods finds out
		}
		tenures.elsewhere.note(locked.Goods)
		h.flow.deps.Observer.LockFailed(LockTimeout)
		h.goods = refused.add(h.flow, b.tasks, locked)
	}
}
