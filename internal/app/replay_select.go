package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/replay"
)

// ReplaySelection chooses messages of a topic.
type ReplaySelection struct {
	Topic      string   `help:"Topic to replay from; the input topic if it is left out."`
	Partitions []int    `name:"partition" help:"Only these partitions."`
	From       string   `default:"start" help:"First message: an offset, a time (RFC 3339, a date, or how long ago as 15m), or start. A time without a zone is of this machine's zone."`
	To         string   `default:"end" help:"What is no longer taken, as --from, or end: the end at the start of this command."`
	Findings   string   `placeholder:"FILE|-" help:"Instead of a topic and a range: the events that audit --log -o jsonl has found to be lost, without effect or unanswered."`
	Orders     []string `name:"order" help:"Only events of these orders."`
	Goods      []string `help:"Only events of orders with these goods."`
	Types      []string `name:"type" enum:"order.created,order.cancelled" help:"Only events of these types."`
	Filters    []string `name:"filter" placeholder:"NAME=VALUE" help:"Only messages with a header of this value; NAME code is the error code of a dead letter; a value that ends with * wants the beginning."`
}

// filter is what the selection says about single messages.
func (c *ReplaySelection) filter() (replay.Filter, error) {
	f := replay.Filter{Orders: c.Orders, Goods: c.Goods, Types: c.Types}
	for _, text := range c.Filters {
		h, err := replay.ParseHeaderFilter(text)
		if err != nil {
			return f, cli.Usage("--filter: %w", err)
		}
		f.Headers = append(f.Headers, h)
	}
	return f, nil
}

// bound is one end of a selection: exactly one of its members says which.
type bound struct {
	start, end bool
	offset     int64
	at         time.Time
}

// parseBound reads --from or --to.
func parseBound(flag, text string, now time.Time) (bound, error) {
	switch text {
	case "start":
		return bound{start: true}, nil
	case "end", "now":
		return bound{end: true}, nil
	}
	if offset, err := strconv.ParseInt(text, 10, 64); err == nil {
		if offset < 0 {
			return bound{}, cli.Usage("--%s is offset %d: the first one is 0", flag, offset)
		}
		return bound{offset: offset}, nil
	}
	at, err := cli.ParseMoment(text, now, time.Local)
	switch {
	case err != nil:
		return bound{}, &cli.Failure{Code: cli.ExitUsage, Err: fmt.Errorf("--%s: want an offset, start, end, or a time: %w", flag, err),
			Try: fmt.Sprintf("--%s %s, or --%s 15m", flag, now.UTC().Add(-time.Hour).Format(time.RFC3339), flag)}
	case at.After(now):
		return bound{}, &cli.Failure{Code: cli.ExitUsage,
			Err: fmt.Errorf("--%s %s is %s, which is in the future: it is %s now", flag, text, cli.UTC(at), cli.UTC(now)),
			Try: "a time with its zone, as " + now.UTC().Format(time.RFC3339) + "; the end, if --to is left out, is now"}
	}
	return bound{at: at}, nil
}

// resolved is a selection with everything fixed.
type resolved struct {
	topic    string
	ranges   []replay.Range
	from, to string // as they were understood, in UTC
	ends     bool   // before the end of the topic
	what     string // instead of them, when single messages are selected
}

// resolve turns the selection into offsets. The end is fixed now.
func (c *ReplaySelection) resolve(ctx context.Context, s *cli.Session, client *kafka.Client, topic string, now time.Time) (resolved, error) {
	r := resolved{topic: topic}
	from, err := parseBound("from", c.From, now)
	if err != nil {
		return r, err
	}
	to, err := parseBound("to", c.To, now)
	if err != nil {
		return r, err
	}
	if !from.at.IsZero() && !to.at.IsZero() && !from.at.Before(to.at) {
		return r, &cli.Failure{Code: cli.ExitUsage, Err: fmt.Errorf("nothing is from %s and before %s", cli.UTC(from.at), cli.UTC(to.at)),
			Try: fmt.Sprintf("--from %s --to %s", cli.UTC(to.at), cli.UTC(from.at))}
	}
	there, err := client.Partitions(ctx, []string{topic})
	if err != nil {
		return r, kafkaFailure(ctx, client, err)
	}
	if len(there[topic]) == 0 {
		return r, noReplayTopic(ctx, s, client, topic)
	}
	for _, id := range c.Partitions {
		if !slices.Contains(there[topic], id) {
			return r, &cli.Failure{Code: cli.ExitUsage, Err: fmt.Errorf("topic %s has no partition %d: it has 0 up to %d", topic, id, len(there[topic])-1),
				Try: "the command without --partition"}
		}
	}
	all, err := client.Ranges(ctx, topic)
	if err != nil {
		return r, kafkaFailure(ctx, client, err)
	}
	all = slices.DeleteFunc(all, func(have kafka.Range) bool {
		return len(c.Partitions) > 0 && !slices.Contains(c.Partitions, have.Partition)
	})
	first, err := offsetsOf(ctx, client, "from", topic, from, all)
	if err != nil {
		return r, err
	}
	last, err := offsetsOf(ctx, client, "to", topic, to, all)
	if err != nil {
		return r, err
	}
	for i, have := range all {
		r.ranges = append(r.ranges, replay.Range{Topic: topic, Partition: have.Partition, From: first[i], To: max(first[i], last[i])})
	}
	r.from, r.to, r.ends = from.text(c.From), to.text(cli.UTC(now)), !to.end
	if replay.Total(r.ranges) == 0 {
		return r, c.nothing(s, r, all)
	}
	return r, nil
}

// text is a bound as it was understood.
func (b bound) text(otherwise string) string {
	switch {
	case b.start:
		return "start"
	case !b.at.IsZero():
		return cli.UTC(b.at)
	case b.end:
		return otherwise
	default:
		return fmt.Sprintf("offset %d", b.offset)
	}
}

// offsetsOf is where a bound is in each of the partitions.
func offsetsOf(ctx context.Context, client *kafka.Client, flag, topic string, b bound, all []kafka.Range) ([]int64, error) {
	list := make([]int64, len(all))
	var at map[int]int64
	if !b.at.IsZero() {
		var err error
		if at, err = client.OffsetsAt(ctx, topic, b.at); err != nil {
			return nil, kafkaFailure(ctx, client, err)
		}
	}
	for i, have := range all {
		switch {
		case b.start:
			list[i] = have.From
		case b.end:
			list[i] = have.To
		case at != nil:
			offset, ok := at[have.Partition]
			if !ok { // nothing was appended since
				offset = have.To
			}
			list[i] = min(max(offset, have.From), have.To)
		case b.offset < have.From:
			return nil, &cli.Failure{Code: cli.ExitUsage,
				Err: fmt.Errorf("--%s: offset %d of %s/%d has been removed: the log begins at %d", flag, b.offset, topic, have.Partition, have.From),
				Try: fmt.Sprintf("--partition %d --from %d, or --from start", have.Partition, have.From)}
		case b.offset > have.To:
			return nil, &cli.Failure{Code: cli.ExitUsage,
				Err: fmt.Errorf("--%s: %s/%d has no offset %d yet: the next message gets %d", flag, topic, have.Partition, b.offset, have.To),
				Try: fmt.Sprintf("--partition with one that has it, or --%s end%s", flag, epochHint(flag, b.offset))}
		default:
			list[i] = b.offset
		}
	}
	return list, nil
}

// epochHint offers an offset as the time that it may be meant to be: seconds or
// milliseconds since 1970, as other tools take them.
func epochHint(flag string, offset int64) string {
	const firstSecond, firstMilli = 1_000_000_000, 1_000_000_000_000 // in September 2001
	at := time.Unix(offset, 0)
	switch {
	case offset < firstSecond || offset >= firstMilli*100:
		return ""
	case offset >= firstMilli:
		at = time.UnixMilli(offset)
	}
	return fmt.Sprintf("; if it is a time: --%s %s", flag, cli.UTC(at))
}

// nothing is the failure of a selection without messages.
func (c *ReplaySelection) nothing(s *cli.Session, r resolved, all []kafka.Range) error {
	messages := int64(0)
	for _, have := range all {
		messages += have.Messages()
	}
	f := &cli.Failure{Code: cli.ExitNothing, Try: fmt.Sprintf("%s replay --topic %s --from start", s.Name, r.topic)}
	if messages == 0 {
		f.Err = fmt.Errorf("topic %s is empty", r.topic)
		f.Try = "another --topic"
		return f
	}
	f.Err = fmt.Errorf("%s holds no message from %s and before %s; it holds %d in all", r.topic, r.from, r.to, messages)
	return f
}

// noReplayTopic is the failure of a topic that is not there, with those that are.
func noReplayTopic(ctx context.Context, s *cli.Session, client *kafka.Client, topic string) error {
	f := &cli.Failure{Code: cli.ExitFailed,
		Err: fmt.Errorf("topic %s at %s does not exist, or has partitions without a leader", topic, strings.Join(client.Brokers(), ", ")),
		Try: "consumer run, which creates its topics, or another --topic"}
	names, err := client.TopicsWithPrefix(ctx, "")
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, "__") })
	const shown = 8 // those of a group, and a few
	if err == nil && len(names) > 0 {
		more := ""
		if len(names) > shown {
			more = fmt.Sprintf(" and %d more", len(names)-shown)
			names = names[:shown]
		}
		f.Err = fmt.Errorf("%w; there are %s%s", f.Err, strings.Join(names, ", "), more)
		f.Try = fmt.Sprintf("%s replay --topic %s", s.Name, cli.Word(names[0]))
	}
	return f
}

// checkIDs refuses ids that no order could have.
func (c *ReplaySelection) checkIDs() error {
	for _, id := range slices.Concat(c.Orders, c.Goods) {
		if len(id) > order.MaxIDBytes {
			return cli.Usage("id %q has %d bytes, the most is %d", id, len(id), order.MaxIDBytes)
		}
	}
	return nil
}
