package main

import (
	"context"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
)

// Goods of a run to the end: as many as there are enough orders for.
const (
	ordersPerGoods = 20
	leastGoods     = 12
	mostGoods      = 1000
)

// once runs the shop until all orders are settled, as fast as it can.
func (c *runCommand) once(take context.Context, session *cli.Session, w *world) (*report, error) {
	work := session.Abort
	orders := c.Orders
	if orders == 0 {
		orders = onceOrders
	}
	s, err := openShop(work, w, shopConfig{
		orders: orders,
		goods:  min(max(orders/ordersPerGoods, leastGoods), mostGoods),
		seed:   c.Seed,
	})
	if err != nil {
		return nil, err
	}
	consumer, err := w.startConsumer(work, nil)
	if err != nil {
		return nil, err
	}
	stopTalk := c.talk(session, s, consumer)
	began := time.Now()
	err = s.run(take, work, consumer, func(int64) {})
	took := time.Since(began)
	stopTalk()
	return s.conclude(work, consumer, err, took)
}

// talk says now and then how far a run is, until it is told to stop.
func (c *runCommand) talk(session *cli.Session, s *shop, consumer *consumer) (stop func()) {
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(cli.LineEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			counts, settled := consumer.Settled(), int64(0)
			for _, n := range counts {
				settled += n
			}
			session.Say("%d events published, %d settled", s.published.Load(), settled-counts[order.SettledRetried])
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
