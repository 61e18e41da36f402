package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
)

// run has one spec measured, on a topic, a group and a database of its own.
func (w *World) run(ctx context.Context, spec Spec, row Row) (_ Run, _ []Statement, err error) {
	w.made++
	spec.Group = fmt.Sprintf("bench-%s-%d", w.id, w.made)
	spec.Topic = "bench-" + w.id + "-" + row.Shape.Name
	if spec.Way != WayCeiling && spec.Way != WaySearch {
		remove, err := w.topicsFor(ctx, &spec, row)
		defer remove()
		if err != nil {
			return Run{}, nil, err
		}
	}
	database, drop, err := w.database(ctx, spec.Load)
	if err != nil {
		return Run{}, nil, err
	}
	defer drop()
	direct := spec
	direct.Servers.DatabaseURL = database
	spec.Servers = direct.Servers
	if row.Delay > 0 {
		far, stop, err := throughProxies(direct.Servers, row.Delay)
		defer stop()
		if err != nil {
			return Run{}, nil, err
		}
		spec.Servers = far
	}
	if w.tellStatements {
		w.forgetStatements(ctx)
	}
	w.awaitIdle(ctx)
	run, err := w.measure(ctx, spec)
	if err != nil || spec.Way == WaySearch {
		return run, nil, err
	}
	var statements []Statement
	if w.tellStatements {
		statements = w.statements(ctx, database)
	}
	return run, statements, w.audit(ctx, &direct, spec.Events)
}

// topicsFor makes the topics that a spec works with, and returns how those are
// removed that no other spec works with.
func (w *World) topicsFor(ctx context.Context, spec *Spec, row Row) (remove func(), err error) {
	remove = func() {}
	config, name := spec.Load, row.Shape.Name
	if spec.Way == WayLatency {
		// One order, whose arrival shows that the group has been joined.
		config.Orders, config.OrderPrefix = 1, "wake-"
		name = strings.ReplaceAll(row.Name, "/", "-")
	}
	t, err := w.written(ctx, name, config)
	if err != nil {
		return remove, err
	}
	spec.Topic = t.name
	settings, err := settings.DefaultConsumer()
	if err != nil {
		return remove, err
	}
	own := order.NewTopics(t.name, spec.Group, settings.Group.RetryAfter).All()[1:] // the first is the input
	remove = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
		defer cancel()
		w.clean(errors.Join(w.client.DeleteTopics(ctx, own), w.client.DeleteGroup(ctx, spec.Group)))
	}
	_, err = w.client.EnsureTopics(ctx, []kafka.TopicSpec{{Name: resultsOf(spec), Partitions: partitions, Replication: 1}})
	return remove, err
}

// resultsOf is the topic that a spec's outcomes are published in.
func resultsOf(spec *Spec) string { return order.NewTopics(spec.Topic, spec.Group, nil).Results }
