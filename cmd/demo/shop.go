package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

const (
	// publishBatch is how many events are published at once when there is no
	// rate to keep.
	publishBatch = 1000
	// publishEvery is how often events are published when there is one.
	publishEvery = 100 * time.Millisecond
	// settlePatience is how long everything may take to be settled after the
	// last order: all retry tiers in a row, on a machine that is busy.
	settlePatience = 2 * time.Minute
)

// errUnsettled: events were left when there had been time enough.
var errUnsettled = fmt.Errorf("not everything was settled within %s", settlePatience)

// shopConfig says what is sold, and how fast.
type shopConfig struct {
	orders     int // in all; 0: no end
	waveOrders int // for one delivery; 0: there is one delivery for all
	goods      int
	rate       int // events a second; 0: as fast as they are taken
	seed       uint64
	// strangeEvery is how many events there are for each order of goods that
	// are never listed; 0: there is none.
	strangeEvery int
}

// shop publishes orders and keeps in mind what it has published and delivered.
type shop struct {
	*world
	cfg       shopConfig
	warehouse *warehouse
	withheld  []stock.Line
	waves     []*wave // owned by trade; to be read when it has returned
	left      int     // orders of waves to come; owned by trade
	strange   int     // orders of goods that are never listed; owned by trade
	published atomic.Int64
}

// openShop prepares the first wave and delivers its goods.
func openShop(ctx context.Context, w *world, cfg shopConfig) (*shop, error) {
	s := &shop{world: w, cfg: cfg, left: cfg.orders, warehouse: &warehouse{ledger: w.ledger, taken: make(map[string]int64)}}
	first, err := s.nextWave()
	if err != nil {
		return nil, err
	}
	var lines []stock.Line
	lines, s.withheld = first.shipment(true)
	return s, s.warehouse.deliver(ctx, "delivery-1", lines)
}

// nextWave makes up the orders of the next wave.
func (s *shop) nextWave() (*wave, error) {
	orders := s.cfg.waveOrders
	if s.cfg.orders > 0 && (orders == 0 || s.left < orders) {
		orders = s.left
	}
	s.left -= orders
	w, err := newWave(len(s.waves)+1, orders, s.cfg.goods, s.cfg.seed)
	if err != nil {
		return nil, err
	}
	s.waves = append(s.waves, w)
	return w, nil
}

// trade lets waves of orders come until there are enough, or until take ends;
// what is being published or delivered then still comes to its end.
func (s *shop) trade(take, work context.Context) error {
	w := s.waves[0]
	for {
		err := s.play(take, work, w)
		if err != nil || take.Err() != nil || s.cfg.orders > 0 && s.left == 0 {
			return err
		}
		w, err = s.nextWave()
		if err != nil {
			return err
		}
		lines, _ := w.shipment(false)
		err = s.warehouse.deliver(work, "delivery-"+strconv.Itoa(len(s.waves)), lines)
		if err != nil {
			return err
		}
	}
}

// play publishes one wave.
func (s *shop) play(take, work context.Context, w *wave) error {
	defer w.end()
	tick := time.NewTicker(publishEvery)
	defer tick.Stop()
	began, sent := time.Now(), 0
	for take.Err() == nil {
		n := publishBatch
		if s.cfg.rate > 0 {
			select {
			case <-tick.C:
			case <-take.Done():
				return nil
			}
			n = int(time.Since(began).Seconds()*float64(s.cfg.rate)) - sent
		}
		if n <= 0 {
			continue
		}
		messages := w.messages(s.topics.Input, n)
		if len(messages) == 0 {
			return nil
		}
		sent += len(messages)
		strange := s.strangers(sent)
		// Under work: a publication that is cut short leaves it open which of its
		// events are in the log.
		err := s.publish(work, append(messages, strange...))
		if err != nil {
			return err
		}
		w.sent += len(messages)
		s.published.Add(int64(len(messages) + len(strange)))
	}
	return nil
}

// strangers are orders of goods that are never listed, as far as they are due
// after so many events of a wave. They go through all retry tiers to the dead
// letters.
func (s *shop) strangers(sent int) []order.Message {
	if s.cfg.strangeEvery == 0 {
		return nil
	}
	var list []order.Message
	for due := (len(s.waves)-1)*s.cfg.waveOrders + sent; s.strange < due/s.cfg.strangeEvery; {
		s.strange++
		id := fmt.Sprintf("strange-%d", s.strange)
		list = append(list, order.Message{Topic: s.topics.Input, Key: []byte(id), Value: order.AppendEvent(nil, order.Event{
			ID: "event-" + id, Type: order.Created, OrderID: id, OccurredAt: time.Now(),
			Lines: []stock.Line{{Goods: fmt.Sprintf("unlisted-%d", s.strange), Num: 1}},
		})})
	}
	return list
}

// run lets the shop trade until take ends or the orders do, and waits until
// all that was published is settled; progress is told how much is not. The end
// of the consumer ends it too. It returns errUnsettled when waiting is of no
// use.
func (s *shop) run(take, work context.Context, c *consumer, progress func(left int64)) error {
	take, stopTaking := context.WithCancel(take)
	defer stopTaking()
	patience, stop := context.WithCancel(work)
	defer stop()
	var beside sync.WaitGroup
	var listErr error
	beside.Go(func() {
		select {
		case <-c.ended: // by itself: there is nothing to wait for
			stopTaking()
			stop()
		case <-patience.Done():
		}
	})
	if len(s.withheld) > 0 {
		beside.Go(func() { listErr = s.list(patience, s.withheld) })
	}
	err := s.trade(take, work)
	if err == nil {
		late := time.AfterFunc(settlePatience, stop)
		err = c.WaitSettled(patience, func(_ string, left int64) { progress(left) })
		if !late.Stop() && err != nil {
			err = errUnsettled
		}
	}
	stop()
	beside.Wait()
	return errors.Join(err, listErr)
}
