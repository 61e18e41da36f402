package app

import (
	"context"
	"fmt"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/redrive"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/replay/replaysql"
	"orderconsumer/internal/settings"
)

// redriveRetryCommand publishes open dead letters again: a replay of single
// messages, with a replay's plan, stages and row.
type redriveRetryCommand struct {
	redriveCommand
	LetterSelection
	Dedup settings.Dedup `embed:""`
	Pace  ReplayPace     `embed:""`
	Deed  ReplayDeed     `embed:""`
}

// Run implements a command.
func (c *redriveRetryCommand) Run(ctx context.Context, s *cli.Session) error {
	filter, err := c.check(s)
	if err != nil {
		return err
	}
	d, err := c.openDesk(ctx, s)
	if err != nil {
		return err
	}
	defer d.close()
	letters := d.box.Select(filter)
	if len(letters) == 0 {
		return d.nobody(s, "no letter is like that and open")
	}
	ranges := letterRanges(d.topics.Dead, letters)
	if len(ranges) > maxSingleRanges {
		return tooScattered(s, d.topics.Dead, len(letters), len(ranges))
	}
	found := resolved{topic: d.topics.Dead, what: cli.Counted(len(letters), "open letter")}
	terms := replayTerms{
		group: ReplayGroup{Group: c.Group.Group, Input: c.Group.Topic, RetryAfter: c.Group.RetryAfter},
		pace:  c.Pace, deed: c.Deed, dedup: c.Dedup,
	}
	spec, err := terms.spec(ctx, s, d.client, found, replay.Filter{})
	if err != nil {
		return err
	}
	task := &replayTask{
		session: s, client: d.client, ledger: d.ledger, store: replaysql.New(d.ledger), spec: spec,
		ranges: ranges, folder: c.Deed.TempFolder, waits: letterCreates{d.box},
	}
	return task.planAndDo(ctx, newReplayAnswer(s.Stdout, c.OutputSettings, c.Deed.GoodsShown), replay.KindRedrive, c.Deed)
}

// check refuses what makes no sense before anybody is asked.
func (c *redriveRetryCommand) check(s *cli.Session) (filter redrive.Filter, err error) {
	err = firstError(
		func() (err error) {
			filter, err = c.filter([]redrive.State{redrive.Open})
			return err
		},
		c.Pace.check, c.Dedup.Check, c.Deed.check,
		func() error {
			switch {
			case c.all() && c.Deed.Execute:
				return cli.Usage("which ones? Give ids, --cause, --order or --type; %s redrive groups shows the causes", s.Name)
			case len(c.Group.RetryAfter) == 0:
				return cli.Usage("the group has no retry tier to publish to: give --retry-after as its consumers have it")
			}
			return nil
		})
	return filter, err
}

// maxSingleRanges bounds what the row of a replay of single messages holds, about
// 100 bytes for each range, and the reads that a plan needs, at least one for each.
const maxSingleRanges = 20_000

// tooScattered says how to bring back more letters than one redrive can name.
func tooScattered(s *cli.Session, topic string, letters, ranges int) error {
	return &cli.Failure{
		Code: cli.ExitUsage,
		Err:  fmt.Errorf("%d letters stand in %d separate ranges of %s, most are %d: select fewer, or replay a part of the topic", letters, ranges, topic, maxSingleRanges),
		Try:  s.Name + " replay --topic " + topic + " --filter code=CODE",
	}
}

// letterRanges are the places of letters; neighbours share a range.
func letterRanges(topic string, letters []*redrive.Letter) []replay.Range {
	var ranges []replay.Range
	for _, l := range letters { // in the order of their places
		if last := len(ranges) - 1; last >= 0 && ranges[last].Partition == l.Partition && ranges[last].To == l.Offset {
			ranges[last].To++
			continue
		}
		ranges = append(ranges, replay.Range{Topic: topic, Partition: l.Partition, From: l.Offset, To: l.Offset + 1})
	}
	return ranges
}

// letterCreates knows the orders whose create is an open letter or waits in a
// tier. A create that somebody has archived is not waited for: its cancel would
// be held back for ever.
type letterCreates struct{ box *redrive.Box }

// Where implements replay.Waiting.
func (w letterCreates) Where(_ context.Context, id string) (string, error) {
	if w.box.CreateWaits(id) {
		return "a retry tier or among the open dead letters", nil
	}
	return "", nil
}

// rangesShown is how many ranges a person is shown; a selection of single
// letters has as many as there are letters.
const rangesShown = 40

// rangesLeftOut says how many are not shown.
func rangesLeftOut(n int) string {
	return fmt.Sprintf("%9s  and %d more; -o json lists all\n", "", n-rangesShown)
}
