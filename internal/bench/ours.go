package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/instance"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock/ledger"
)

// pollEnd is how often the end of a run is looked for; it bounds the error of
// the time measured.
const pollEnd = 10 * time.Millisecond

// ours settles the topic with the consumer as it is shipped.
func (m *measurement) ours(ctx context.Context) (Run, error) {
	f, err := m.openFleet(ctx, nil)
	if err != nil {
		return Run{}, err
	}
	defer f.close()
	return f.settle(ctx)
}

// fleet is the instances of one measurement.
type fleet struct {
	*measurement
	settings  settings.Consumer
	client    *kafka.Client
	instances []*instance.Instance
	counting  bool  // the clock runs
	before    int64 // events that were settled before
}

// openFleet opens the instances and makes their topics; close gives them back.
func (m *measurement) openFleet(ctx context.Context, onSettled func(order.Settlement)) (_ *fleet, err error) {
	settings, err := m.settings()
	if err != nil {
		return nil, err
	}
	instances := max(m.Ours.Instances, 1)
	instance.CollectRarely(instances)
	f := &fleet{measurement: m, settings: settings}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	f.client, err = settings.Kafka.Client("bench")
	if err != nil {
		return nil, err
	}
	for range instances {
		i, err := instance.Open(ctx, settings, instance.Options{Log: m.log, OpenLedger: openLedger, OnSettled: onSettled})
		if err != nil {
			return nil, err
		}
		f.instances = append(f.instances, i)
	}
	return f, f.instances[0].Prepare(ctx)
}

// settings are the program's defaults but for the servers, the names and what
// the spec says.
func (m *measurement) settings() (settings.Consumer, error) {
	settings, err := settings.DefaultConsumer()
	if err != nil {
		return settings, err
	}
	settings.Kafka = m.Servers.Kafka
	settings.Redis.URLs = []string{m.Servers.RedisURL}
	settings.Database.URL = m.Servers.DatabaseURL
	settings.Group.Topic, settings.Group.Group = m.Topic, m.Group
	settings.Lock.Prefix = "lock:{" + m.Group + "}:" // of the same length as the default, about
	settings.Cache.Prefix = "stock:{" + m.Group + "}:"
	settings.HTTP = ""
	if m.Ours.Workers > 0 {
		settings.Flow.Workers = m.Ours.Workers
	}
	if m.Ours.BatchSize > 0 {
		settings.Flow.BatchSize = m.Ours.BatchSize
	}
	if m.Ours.Lock != "" {
		settings.Lock.Mode = m.Ours.Lock
	}
	return settings, nil
}

func openLedger(ctx context.Context, url string) (*ledger.Ledger, error) {
	return ledger.Open(ctx, ledger.Config{URL: url})
}

func (f *fleet) close() {
	for _, i := range f.instances {
		i.Close()
	}
	if f.client != nil {
		f.client.Close()
	}
}

// settle runs the instances until all events are settled and committed, and
// lets them leave the group.
func (f *fleet) settle(ctx context.Context) (Run, error) {
	take, stop := context.WithCancel(ctx)
	defer stop()
	group, take := errgroup.WithContext(take)
	for _, i := range f.instances {
		group.Go(func() error { return i.Run(take, ctx) })
	}
	err := f.awaitEnd(take)
	run := f.meter.end(f.Events - int(f.before))
	stop()
	return run, errors.Join(group.Wait(), err)
}

// awaitEnd returns when all offsets are committed. The brokers are asked only
// once the instances have settled everything: asking costs them time.
func (f *fleet) awaitEnd(ctx context.Context) error {
	tick := time.NewTicker(pollEnd)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d events settled: %w", f.settled(), f.Events, context.Cause(ctx))
		}
		began, err := f.begun(ctx)
		if err != nil {
			return err
		}
		if !began || f.settled() < int64(f.Events) {
			continue
		}
		left, err := f.lag(ctx)
		if err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
	}
}

// leastTogether is the part of the events that must be left when all instances
// have joined, for a rate of them together: one in so many.
const leastTogether = 4

// errAlone: there was too little left for the others to do.
var errAlone = errors.New("most was settled before all instances had joined: more orders are needed")

// begun reports whether the clock runs, and starts it: when the first message
// has been read, or, with several instances, when all of them have joined.
// What the first to join has settled alone by then does not count.
func (f *fleet) begun(ctx context.Context) (bool, error) {
	if f.counting || !f.reading() {
		return f.counting, nil
	}
	if len(f.instances) > 1 {
		group, err := f.client.DescribeGroup(ctx, f.Group)
		if err != nil {
			return false, err
		}
		f.before = f.settled()
		switch {
		case f.before > int64(f.Events-f.Events/leastTogether):
			return false, errAlone
		case group.State != "Stable" || len(group.Members) < len(f.instances):
			return false, nil
		}
	}
	f.meter.begin()
	f.counting = true
	return true, nil
}

// reading reports whether any instance has read its first message.
func (f *fleet) reading() bool {
	for _, i := range f.instances {
		if _, ok := i.FirstRead(); ok {
			return true
		}
	}
	return false
}

// settled is how many events have come to their end. What went to a retry tier
// comes again.
func (f *fleet) settled() int64 {
	total := int64(0)
	for _, i := range f.instances {
		for outcome, n := range i.Settled() {
			if outcome != order.SettledRetried {
				total += n
			}
		}
	}
	return total
}

// lag is how many messages the group has not committed.
func (f *fleet) lag(ctx context.Context) (int64, error) {
	positions, err := f.client.Positions(ctx, f.Group, []string{f.Topic})
	if err != nil {
		return 0, err
	}
	left := int64(0)
	for _, p := range positions {
		left += p.Lag()
	}
	return left, nil
}
