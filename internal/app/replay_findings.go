package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"orderconsumer/internal/audit"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/report"
)

// mendedByReplay are the findings whose event has its effect when it is published
// again: the consumer applies what is lost, releases what a cancel has left, and
// answers what it has applied before. What cannot be decoded, or contradicts the
// order's row, comes to the same end again.
var mendedByReplay = []audit.Rule{audit.RuleLost, audit.RuleNotReleased, audit.RuleUnanswered}

// checkFindings refuses two selections at once.
func (c *ReplaySelection) checkFindings() error {
	if c.Findings != "" && (c.Topic != "" || len(c.Partitions) > 0 || c.From != "start" || c.To != "end") {
		return cli.Usage("--findings takes neither --topic, --partition, --from nor --to: where the events stand is in the findings")
	}
	return nil
}

// resolveFindings turns findings into the places of their events.
func (c *ReplaySelection) resolveFindings(ctx context.Context, s *cli.Session, client *kafka.Client) (resolved, error) {
	in, err := openFindings(s, c.Findings)
	if err != nil {
		return resolved{}, err
	}
	defer in.Close() //nolint:errcheck // it was only read
	places := foundPlaces{most: maxSingleRanges}
	if err := readFindings(in, places.take); err != nil {
		return resolved{}, badFindings(err)
	}
	ranges, err := places.ranges()
	if err != nil {
		return resolved{}, badFindings(err)
	}
	if places.elsewhere > 0 {
		s.Say("%s: %s left: mended_by says that something else than %s mends them", s.Name, findingsAre(places.elsewhere), audit.MendReplay)
	}
	if len(ranges) == 0 {
		return resolved{}, &cli.Failure{Code: cli.ExitNothing,
			Err: fmt.Errorf("no finding is about an event that a replay mends, %s about something else", cli.Counted(places.others+places.elsewhere, "finding")),
			Try: "consumer stock add --findings FILE, which mends those about goods, or consumer audit --log"}
	}
	if err := stillThere(ctx, s, client, ranges); err != nil {
		return resolved{}, err
	}
	events := replay.Total(ranges)
	s.Say("%s: %s in %s of %s; %s about something else", s.Name, cli.Counted64(events, "event"), cli.Counted(len(ranges), "range"),
		ranges[0].Topic, cli.Counted(places.others, "finding"))
	return resolved{topic: ranges[0].Topic, ranges: ranges, what: cli.Counted64(events, "event") + " of findings"}, nil
}

// badFindings is the failure of findings that cannot be replayed.
func badFindings(err error) error {
	if _, ok := errors.AsType[*cli.Failure](err); ok {
		return err
	}
	return &cli.Failure{Code: cli.ExitUsage, Err: fmt.Errorf("--findings: %w", err), Try: "consumer audit --log -o jsonl > findings.jsonl, then --findings findings.jsonl"}
}

// foundPlaces gathers places of events. It holds twice as many ranges as may come
// out, however many findings there are: those of one partition mostly come in the
// order of their offsets, and neighbours share a range.
type foundPlaces struct {
	most   int
	list   []replay.Range
	others int // findings that replaying does not mend
	// elsewhere are those that it would, if they did not say that something else does.
	elsewhere int
}

var (
	errNoPlace     = errors.New("the finding is about an event and does not say where that stands")
	errManyTopics  = errors.New("the findings are about events of several topics; a replay is of one")
	errImpossible  = errors.New("no event stands at a partition or offset below 0")
	errManyFinding = errors.New("the events stand too far apart")
)

// take keeps the place of one finding.
func (p *foundPlaces) take(f *report.Finding) error {
	switch {
	case !slices.Contains(mendedByReplay, f.Rule):
		p.others++
		return nil
	case f.MendedBy != "" && f.MendedBy != audit.MendReplay:
		p.elsewhere++ // a person has looked at it, and set mended_by
		return nil
	case f.Topic == "" || f.Partition == nil || f.Offset == nil:
		return errNoPlace
	case *f.Partition < 0 || *f.Offset < 0:
		return errImpossible
	case len(p.list) > 0 && p.list[0].Topic != f.Topic:
		return fmt.Errorf("%w: %s and %s", errManyTopics, p.list[0].Topic, f.Topic)
	}
	p.list = append(p.list, replay.Range{Topic: f.Topic, Partition: *f.Partition, From: *f.Offset, To: *f.Offset + 1})
	if len(p.list) < 2*p.most {
		return nil
	}
	_, err := p.ranges()
	return err
}

// ranges are the places in order, neighbours together. One event may be found
// twice, by several rules.
func (p *foundPlaces) ranges() ([]replay.Range, error) {
	slices.SortFunc(p.list, func(a, b replay.Range) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.From, b.From))
	})
	joined := p.list[:0]
	for _, r := range p.list {
		if last := len(joined) - 1; last >= 0 && joined[last].Partition == r.Partition && r.From <= joined[last].To {
			joined[last].To = max(joined[last].To, r.To)
			continue
		}
		joined = append(joined, r)
	}
	p.list = joined
	if len(joined) > p.most {
		return nil, &cli.Failure{Code: cli.ExitUsage,
			Err: fmt.Errorf("--findings: %w: they are in more than %d separate ranges", errManyFinding, p.most),
			Try: "findings of a part of the time, from consumer audit --log --from --to, or producer replay --from --to --changes-only, which takes a whole range"}
	}
	return joined, nil
}

// stillThere refuses places that the topic does not hold.
func stillThere(ctx context.Context, s *cli.Session, client *kafka.Client, ranges []replay.Range) error {
	topic := ranges[0].Topic
	there, err := client.Partitions(ctx, []string{topic})
	if err != nil {
		return kafkaFailure(ctx, client, err)
	}
	if len(there[topic]) == 0 {
		return noReplayTopic(ctx, s, client, topic)
	}
	held, err := client.Ranges(ctx, topic)
	if err != nil {
		return kafkaFailure(ctx, client, err)
	}
	for _, r := range ranges {
		i := slices.IndexFunc(held, func(have kafka.Range) bool { return have.Partition == r.Partition })
		if i >= 0 && r.From >= held[i].From && r.To <= held[i].To {
			continue
		}
		holds := "there is no such partition"
		if i >= 0 {
			holds = fmt.Sprintf("the log holds [%d,%d)", held[i].From, held[i].To)
		}
		return &cli.Failure{Code: cli.ExitFailed, Err: fmt.Errorf("--findings name events at %s, and %s", r, holds),
			Try: "consumer audit --log -o jsonl again: it names only events that the log holds now"}
	}
	return nil
}
