package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/settings"
)

// replaySpec is what a replay keeps about itself beside its ranges.
type replaySpec struct {
	Topic       string          `json:"topic"`
	From        string          `json:"from"`
	To          string          `json:"to"`
	Ends        bool            `json:"ends,omitempty"` // before the end of the topic
	What        string          `json:"what,omitempty"` // instead of From and To: which messages
	Filter      replay.Filter   `json:"filter"`
	Group       string          `json:"group"`
	Input       string          `json:"input_topic"`
	RetryAfter  []time.Duration `json:"retry_after"`
	Target      string          `json:"target"`
	Ramp        string          `json:"ramp"`
	MaxFailed   float64         `json:"max_failed"`
	Audit       bool            `json:"audit"`
	Rate        float64         `json:"rate"`
	Patience    time.Duration   `json:"patience"`
	MaxMessages int64           `json:"max_messages,omitempty"`
	MaxReplays  int             `json:"max_replays"`
	ChangesOnly bool            `json:"changes_only,omitempty"`
	Horizon     time.Duration   `json:"dedup_horizon,omitempty"`
}

// cutsOff is true for a selection that may leave out the cancel of an order whose
// create it takes: it ends before the end of the topic, or chooses by more than
// orders and goods.
func (s *replaySpec) cutsOff() bool {
	return s.Topic == s.Input && s.What == "" && (s.Ends || s.MaxMessages > 0 || len(s.Filter.Types)+len(s.Filter.Headers) > 0)
}

// replayTerms are what a person has said about a replay beside its messages.
type replayTerms struct {
	group       ReplayGroup
	pace        ReplayPace
	deed        ReplayDeed
	dedup       settings.Dedup
	toTopic     string
	changesOnly bool
}

// spec fixes everything that a resumed replay needs, and makes sure that the
// target is there.
func (o *replayTerms) spec(ctx context.Context, s *cli.Session, client *kafka.Client, found resolved, filter replay.Filter) (replaySpec, error) {
	topics := o.group.topics()
	spec := replaySpec{
		Topic: found.topic, From: found.from, To: found.to, Ends: found.ends, What: found.what, Filter: filter,
		Group: o.group.Group, Input: o.group.Input, RetryAfter: o.group.RetryAfter, Target: o.toTopic,
		Ramp: o.pace.Ramp, MaxFailed: o.pace.MaxFailed, Audit: o.pace.Audit, Rate: o.pace.Rate, Patience: o.pace.Patience,
		MaxMessages: o.deed.MaxMessages, MaxReplays: o.deed.MaxReplays, ChangesOnly: o.changesOnly, Horizon: o.dedup.Horizon,
	}
	consumed := spec.Target == "" || slices.Contains(topics.Consumed(), spec.Target)
	if spec.Target == "" {
		spec.Target = topics.Tiers[0].Topic
	} else {
		s.Say("%s: --to-topic: EVERY group that reads %s gets these messages again, not only %s", s.Name, spec.Target, spec.Group)
	}
	switch {
	case spec.Ramp == "" && consumed:
		spec.Ramp = replay.DefaultRamp().String()
	case spec.Ramp == "":
		spec.Ramp = "none"
	}
	_, staged, err := replay.ParseRamp(spec.Ramp)
	if err != nil {
		return spec, cli.Usage("--ramp: %w", err)
	}
	if staged && !consumed {
		return spec, cli.Usage("--ramp waits for group %s, which does not read %s: use --ramp none", spec.Group, spec.Target)
	}
	there, err := client.Partitions(ctx, []string{spec.Target})
	if err != nil {
		return spec, kafkaFailure(ctx, client, err)
	}
	if len(there[spec.Target]) == 0 {
		return spec, &cli.Failure{Code: cli.ExitFailed, Err: fmt.Errorf("topic %s, which takes what is published, does not exist, or has partitions without a leader", spec.Target),
			Try: "consumer run, which creates its topics, or ORDERS_GROUP, ORDERS_TOPIC and RETRY_AFTER as the consumer has them"}
	}
	return spec, nil
}
