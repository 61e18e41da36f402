package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"orderconsumer/internal/audit"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/report"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// LogAuditSettings say whether and how the log is held against the database.
type LogAuditSettings struct {
	Log   bool           `help:"Hold the log against the database, too: every event that was settled must be applied, a duplicate, rejected, waiting in a retry tier or among the dead letters. Consumers may go on meanwhile."`
	Kafka settings.Kafka `embed:""`
	Group settings.Group `embed:""`
	Dedup settings.Dedup `embed:""`
	From  string         `placeholder:"TIME" help:"With --log: only events of the input topic since then. A time is RFC 3339, a date or a date and time of this machine's zone, or how long ago (15m, 2h, 3d). Default: all that the topic holds."`
	To    string         `placeholder:"TIME" help:"With --log: only events before then. Default: all there are when the audit begins."`
}

// auditLog holds the log and the ledger against each other.
func (c *auditCommand) auditLog(ctx context.Context, s *cli.Session, l *ledger.Ledger) error {
	from, to, err := c.moments(s, time.Now())
	if err != nil {
		return err
	}
	at := groupCommand{Kafka: c.Kafka, Group: c.Group}
	client, err := at.open(ctx, s)
	if err != nil {
		return err
	}
	defer client.Close()
	w := newAuditWriter(c.OutputSettings, s.Stdout)
	job, err := c.logCase(ctx, s, client, from, to)
	if err != nil {
		return kafkaFailure(ctx, client, err)
	}
	job.Ledger = l
	job.Report = func(f audit.Finding) { w.row(report.OfLog(&f)) }
	pace := cli.NewPace()
	job.Progress = func(p audit.Progress) {
		if !pace.Due() {
			return
		}
		of := ""
		if p.Total > 0 {
			of = fmt.Sprintf(" of %d (%d%%)", p.Total, 100*p.Read/p.Total)
		}
		s.Say("audit: %s, %d%s read", p.Step, p.Read, of)
	}
	summary, err := audit.Run(ctx, job)
	if err != nil {
		w.breakOff(err)
		return c.failure(ctx, s, client, err)
	}
	w.end(newShownLogSummary(&summary))
	if w.err != nil {
		return w.err
	}
	if !summary.Clean() {
		return &cli.Failure{
			Code: cli.ExitFailed,
			Err:  fmt.Errorf("the log and the database do not hold what is promised of them: %s", cli.Counted64(summary.Findings, "finding")),
			Try:  mending(s),
		}
	}
	return nil
}

// failure gives the error of an audit its code and the next command.
func (c *auditCommand) failure(ctx context.Context, s *cli.Session, client *kafka.Client, err error) error {
	if errors.Is(err, stock.ErrUnavailable) {
		return databaseFailure(ctx, err)
	}
	if stranger, ok := errors.AsType[*audit.NoOutcomeError](err); ok {
		at := stranger.At
		return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: fmt.Sprintf(
			"kafka-console-consumer.sh --bootstrap-server %s --topic %s --partition %d --offset %d --max-messages 1, which shows it; only consumers may write there (docs/security.md)",
			strings.Join(client.Brokers(), ","), at.Topic, at.Partition, at.Offset)}
	}
	if errors.Is(err, audit.ErrOtherLog) {
		return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: s.Name + " group describe, and set KAFKA_BROKERS and DATABASE_URL to what belongs together; " +
			"if the topic was made anew: " + s.Name + " group reset --to start"}
	}
	return kafkaFailure(ctx, client, err)
}

// moments are the bounds in time; zero where there is none.
func (c *auditCommand) moments(s *cli.Session, now time.Time) (from, to time.Time, err error) {
	for _, bound := range []struct {
		name, text string
		at         *time.Time
	}{{"--from", c.From, &from}, {"--to", c.To, &to}} {
		if bound.text == "" {
			continue
		}
		*bound.at, err = cli.ParseMoment(bound.text, now, time.Local)
		if err != nil {
			return from, to, cli.Usage("%s: %w", bound.name, err)
		}
		s.Say("%s %s is %s", bound.name, bound.text, cli.UTC(*bound.at))
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, cli.Usage("--from %s is not before --to %s", cli.UTC(from), cli.UTC(to))
	}
	return from, to, nil
}

// logCase finds out what there is to audit. The range is fixed here: what is
// appended later is not looked for.
func (c *auditCommand) logCase(ctx context.Context, s *cli.Session, client *kafka.Client, from, to time.Time) (audit.Case, error) {
	topics := c.Group.Topics()
	job := audit.Case{Log: client, Group: c.Group.Group, Topics: topics, Since: from, Horizon: c.Dedup.Horizon, Now: time.Now}
	found, missing, err := consumedTopics(ctx, client, c.Group)
	if err != nil {
		return job, err
	}
	for _, name := range missing {
		return job, noTopic(client, name, s.Name)
	}
	there, err := client.Partitions(ctx, []string{topics.Dead, topics.Results})
	if err != nil {
		return job, err
	}
	for _, name := range []string{topics.Dead, topics.Results} {
		if len(there[name]) == 0 {
			return job, noTopic(client, name, s.Name)
		}
	}
	for _, name := range found {
		if !slices.Contains(topics.Consumed(), name) {
			job.Former = append(job.Former, name)
		}
	}
	job.Range, err = timeRange(ctx, client, topics.Input, from, to)
	if err != nil {
		return job, err
	}
	events := int64(0)
	for _, r := range job.Range {
		events += r.Messages()
	}
	if events == 0 {
		return job, &cli.Failure{
			Code: cli.ExitNothing,
			Err:  fmt.Errorf("topic %s holds no event in that range", topics.Input),
			Try:  s.Name + " audit --log without --from and --to, or " + s.Name + " group describe, which shows what the topic holds",
		}
	}
	s.Say("audit: %s in %s of %s, as they stand now", cli.Counted64(events, "offset"), cli.Counted(len(job.Range), "partition"), topics.Input)
	return job, nil
}

// timeRange is the part of a topic that was appended between two moments; a
// moment that is zero is no bound.
func timeRange(ctx context.Context, client *kafka.Client, topic string, from, to time.Time) ([]kafka.Range, error) {
	ranges, err := client.Ranges(ctx, topic)
	if err != nil {
		return nil, err
	}
	bound := func(at time.Time, set func(r *kafka.Range, offset int64, found bool)) error {
		if at.IsZero() {
			return nil
		}
		offsets, err := client.OffsetsAt(ctx, topic, at)
		for i := range ranges {
			offset, found := offsets[ranges[i].Partition]
			set(&ranges[i], offset, found)
		}
		return err
	}
	err = bound(to, func(r *kafka.Range, offset int64, found bool) {
		if found {
			r.To = max(r.From, min(offset, r.To))
		}
	})
	if err != nil {
		return nil, err
	}
	return ranges, bound(from, func(r *kafka.Range, offset int64, found bool) {
		if r.From = max(offset, r.From); !found || r.From > r.To {
			r.From = r.To
		}
	})
}

// shownLogSummary is the summary as it is written for programs.
type shownLogSummary struct {
	Clean       bool             `json:"clean"`
	Findings    int64            `json:"findings"`
	Events      int64            `json:"events"`
	ByClass     map[string]int64 `json:"events_by_class"`
	Applied     map[string]int64 `json:"applied_by_state"`
	Waiting     map[string]int64 `json:"waiting_by_tier"`
	DeadLetters int64            `json:"dead_letters"`
	Outcomes    int64            `json:"outcomes"`
	Unasked     int64            `json:"unasked"`
	Gone        int64            `json:"orders_with_event_gone"`
	Database    report.Summary   `json:"database"`
	Seconds     float64          `json:"seconds"`
}

func newShownLogSummary(s *audit.Summary) shownLogSummary {
	shown := shownLogSummary{
		Clean: s.Clean(), Findings: s.Findings, Events: s.Events, ByClass: make(map[string]int64),
		Applied: make(map[string]int64), Waiting: s.Waiting, DeadLetters: s.DeadLetters, Outcomes: s.Outcomes,
		Unasked: s.Unasked, Gone: s.Gone, Database: report.NewSummary(s.Ledger), Seconds: s.Took.Seconds(),
	}
	for _, class := range audit.Classes {
		shown.ByClass[strings.ReplaceAll(string(class), " ", "_")] = s.ByClass[class]
	}
	for state, n := range s.Applied {
		shown.Applied[string(state)] = n
	}
	return shown
}

// String is the summary for a person.
func (s shownLogSummary) String() string {
	var b strings.Builder
	verdict := "clean"
	if !s.Clean {
		verdict = cli.Counted64(s.Findings, "finding")
	}
	fmt.Fprintf(&b, "%s: %s, in %s\n", verdict, cli.Counted64(s.Events, "event"),
		time.Duration(s.Seconds*float64(time.Second)).Round(time.Millisecond))
	for _, class := range audit.Classes {
		n := s.ByClass[strings.ReplaceAll(string(class), " ", "_")]
		if n == 0 && (class == audit.Forgotten || class == audit.Off) {
			continue
		}
		fmt.Fprintf(&b, "  %-10s %10d", class, n)
		switch class {
		case audit.Applied:
			b.WriteString(listed(s.Applied))
		case audit.Waiting:
			b.WriteString(listed(s.Waiting))
		default:
		}
		b.WriteString("\n")
	}
	if s.Unasked > 0 {
		fmt.Fprintf(&b, "  of %s it cannot be told whether they were answered: the outcomes are gone, or outside the range\n", cli.Counted64(s.Unasked, "event"))
	}
	if s.Gone > 0 {
		fmt.Fprintf(&b, "  of %s the event is gone: compaction has taken it, or the topic was made anew\n", cli.Counted64(s.Gone, "order"))
	}
	fmt.Fprintf(&b, "%s, %s read\n", cli.Counted64(s.DeadLetters, "dead letter"), cli.Counted64(s.Outcomes, "outcome"))
	fmt.Fprintf(&b, "database: %s", s.Database)
	return b.String()
}

// listed writes the parts of a number: (20 deducted, 1 released).
func listed(parts map[string]int64) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if parts[name] > 0 {
			words = append(words, fmt.Sprintf("%d %s", parts[name], name))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "  (" + strings.Join(words, ", ") + ")"
}
