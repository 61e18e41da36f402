package main

import (
	"context"
	"net"

	"orderconsumer/internal/instance"
	"orderconsumer/internal/order"
)

// consumer is the shop's own instance of the consumer, running.
type consumer struct {
	*instance.Instance
	stop  context.CancelFunc // stop taking orders; what is in flight comes to its end
	ended chan struct{}
	err   error // why it ended; to be read once ended is closed
}

// startConsumer runs a consumer until stop is called or work ends, and returns
// once its API answers, if it has one. wrap is for tests and may be nil.
func (w *world) startConsumer(work context.Context, wrap func(order.Ledger) order.Ledger) (*consumer, error) {
	listening := make(chan net.Addr, 1)
	i, err := instance.Open(work, w.settings, instance.Options{
		Log:        w.log,
		OpenLedger: openLedger,
		OnListen:   func(a net.Addr) { listening <- a },
		WrapLedger: wrap,
	})
	if err != nil {
		return nil, err
	}
	err = i.Prepare(work) // before the group is joined
	if err != nil {
		i.Close()
		return nil, err
	}
	take, stop := context.WithCancel(work)
	c := &consumer{Instance: i, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.err = i.Run(take, work)
	}()
	if w.settings.HTTP == "" {
		return c, nil
	}
	select {
	case a := <-listening:
		w.API = a.String()
		return c, nil
	case <-c.ended:
		return nil, c.close()
	}
}

// close stops the consumer and returns why it has ended; nil if it was stopped.
func (c *consumer) close() error {
	c.stop()
	<-c.ended
	c.Close()
	return c.err
}
