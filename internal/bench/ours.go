package bench

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/app"
	"orderconsumer/internal/stock/ledger"
)

// Ours is the consumer as it is shipped.
type Ours struct {
	Instances int
	Workers   int
	Lock      string // off, optional or required
}

// settings are the program's defaults but for what the way says.
func (w *World) settings(o Ours, s *Shape, database string) (app.ConsumerSettings, error) {
	settings, err := app.DefaultConsumerSettings()
	if err != nil {
		return settings, err
	}
	settings.Kafka, settings.Redis = w.servers.Kafka, w.servers.Redis
	settings.Database.URL = database
	settings.Group.Topic = s.topic
	settings.Group.Group = fmt.Sprintf("bench-%d", time.Now().UnixNano())
	settings.Topics.Partitions = partitions
	settings.Lock.Prefix = "lock:{" + settings.Group.Group + "}:"
	settings.HTTP = ""
	if o.Workers > 0 {
		settings.Flow.Workers = o.Workers
	}
	if o.Lock != "" {
		settings.Lock.Mode = o.Lock
	}
	return settings, nil
}

// pollEnd is how often the end of a run is looked for; it bounds the error of
// the time measured.
const pollEnd = 10 * time.Millisecond

// Run settles the whole shape and returns the time from the first message
// read to the last offset committed.
func (w *World) Run(ctx context.Context, o Ours, s *Shape) (took time.Duration, err error) {
	database, drop, err := w.database(ctx, s)
	if drop != nil {
		defer drop()
	}
	if err != nil {
		return 0, err
	}
	settings, err := w.settings(o, s, database)
	if err != nil {
		return 0, err
	}
	instances := make([]*app.Instance, o.Instances)
	for n := range instances {
		instances[n], err = app.OpenInstance(ctx, settings, app.Options{Log: w.log, OpenLedger: openLedger})
		if err != nil {
			return 0, err
		}
		defer instances[n].Close()
	}
	err = instances[0].Prepare(ctx)
	if err != nil {
		return 0, err
	}
	take, stop := context.WithCancel(ctx)
	defer stop()
	group, take := errgroup.WithContext(take)
	for _, i := range instances {
		group.Go(func() error { return i.Run(take, ctx) })
	}
	err = w.awaitEnd(take, settings, instances, s.events)
	ended := time.Now()
	stop()
	if waitErr := group.Wait(); waitErr != nil {
		return 0, waitErr
	}
	if err != nil {
		return 0, err
	}
	began := ended
	for _, i := range instances {
		if at, ok := i.FirstRead(); ok && at.Before(began) {
			began = at
		}
	}
	return ended.Sub(began), w.audit(ctx, database)
}

// awaitEnd returns when all offsets are committed. The brokers are asked only
// once the instances have settled everything: asking costs them time.
func (w *World) awaitEnd(ctx context.Context, settings app.ConsumerSettings, instances []*app.Instance, events int) error {
	tick := time.NewTicker(pollEnd)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		settled := int64(0)
		for _, i := range instances {
			for _, n := range i.Settled() {
				settled += n
			}
		}
		if settled < int64(events) {
			continue
		}
		positions, err := w.client.Positions(ctx, settings.Group.Group, []string{settings.Group.Topic})
		if err != nil {
			return err
		}
		left := int64(0)
		for _, p := range positions {
			left += p.Lag()
		}
		if left == 0 {
			return nil
		}
	}
}

func openLedger(ctx context.Context, url string) (*ledger.Ledger, error) {
	return ledger.Open(ctx, ledger.Config{URL: url})
}
