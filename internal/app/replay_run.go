package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock/ledger"
)

// replayRunCommand plans a replay, and carries it out when told to.
type replayRunCommand struct {
	replayCommand
	Kafka settings.Kafka  `embed:""`
	Group ReplayGroup     `embed:""`
	Dedup settings.Dedup  `embed:""`
	Take  ReplaySelection `embed:""`
	Pace  ReplayPace      `embed:""`
	Deed  ReplayDeed      `embed:""`

	ToTopic     string `help:"Publish to this topic instead of the group's first retry topic. Every group that reads it gets the messages again."`
	ChangesOnly bool   `help:"Leave out what would change nothing."`
}

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

// Run implements a command.
func (c *replayRunCommand) Run(ctx context.Context, s *cli.Session) error {
	filter, err := c.check()
	if err != nil {
		return err
	}
	client, err := c.Kafka.Client(s.Name + "-replay")
	if err != nil {
		return cli.Usage("%w", err)
	}
	defer client.Close()
	found, err := c.found(ctx, s, client)
	if err != nil {
		return err
	}
	spec, err := c.spec(ctx, s, client, found, filter)
	if err != nil {
		return err
	}
	l, store, err := c.store(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // everything is committed, or an error is at hand
	job := &replayJob{session: s, client: client, ledger: l, store: store, spec: spec, ranges: found.ranges, folder: c.Deed.TempFolder}
	return job.planAndDo(ctx, newReplayAnswer(s.Stdout, c.OutputSettings, c.Deed.GoodsShown), replay.KindReplay, c.Deed)
}

// found fixes what is selected.
func (c *replayRunCommand) found(ctx context.Context, s *cli.Session, client *kafka.Client) (resolved, error) {
	if c.Take.Findings != "" {
		return c.Take.resolveFindings(ctx, s, client)
	}
	found, err := c.Take.resolve(ctx, s, client, c.topic(), time.Now())
	if err == nil && (c.Take.From != found.from && found.from != "start" || c.Take.To != "end") {
		s.Say("%s: from %s (inclusive) to %s (exclusive)", s.Name, found.from, found.to)
	}
	return found, err
}

// notDone says what to do after a plan.
func notDone(s *cli.Session, topic string, plan *replay.Plan) error {
	if n := plan.Count(replay.Exhausted); n > 0 {
		s.Say("%s: %d of them came again as often as is allowed, and failed each time: when what they fail of is mended, add --max-replays N",
			s.Name, n)
	}
	switch {
	case plan.Scanned == 0:
		return &cli.Failure{Code: cli.ExitNothing, Err: fmt.Errorf("topic %s has offsets there, and no message: compaction has taken what stood there", topic),
			Try: s.Name + " replay --topic " + topic + " --from start"}
	case plan.Selected == 0:
		return &cli.Failure{Code: cli.ExitNothing, Err: fmt.Errorf("none of %d messages passes the filter", plan.Scanned),
			Try: "the command with fewer of --order, --goods, --type and --filter"}
	case plan.Publish == 0:
		s.Say("%s: there is nothing to publish", s.Name)
	default:
		s.Say("%s: this was a plan; nothing is published. To do it, add: --execute --reason '...'", s.Name)
	}
	return nil
}

func (c *replayRunCommand) topic() string {
	if c.Take.Topic != "" {
		return c.Take.Topic
	}
	return c.Group.Input
}

// check refuses what makes no sense before anybody is asked.
func (c *replayRunCommand) check() (replay.Filter, error) {
	filter, err := c.Take.filter()
	if err == nil {
		err = c.Take.checkIDs()
	}
	if err == nil {
		err = c.Take.checkFindings()
	}
	if err == nil {
		err = c.Pace.check()
	}
	if err == nil {
		err = c.Dedup.Check()
	}
	if err == nil {
		err = c.Deed.check()
	}
	if err == nil && len(c.Group.RetryAfter) == 0 && c.ToTopic == "" {
		err = cli.Usage("the group has no retry tier to publish to: give --to-topic")
	}
	return filter, err
}

// spec fixes everything that a resumed replay needs, and makes sure that the
// target is there.
func (c *replayRunCommand) spec(ctx context.Context, s *cli.Session, client *kafka.Client, found resolved, filter replay.Filter) (replaySpec, error) {
	topics := c.Group.topics()
	spec := replaySpec{
		Topic: found.topic, From: found.from, To: found.to, Ends: found.ends, What: found.what, Filter: filter,
		Group: c.Group.Group, Input: c.Group.Input, RetryAfter: c.Group.RetryAfter, Target: c.ToTopic,
		Ramp: c.Pace.Ramp, MaxFailed: c.Pace.MaxFailed, Audit: c.Pace.Audit, Rate: c.Pace.Rate, Patience: c.Pace.Patience,
		MaxMessages: c.Deed.MaxMessages, MaxReplays: c.Deed.MaxReplays, ChangesOnly: c.ChangesOnly, Horizon: c.Dedup.Horizon,
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
		return spec, &cli.Failure{Code: cli.ExitFailed, Err: fmt.Errorf("topic %s, which takes what is published, does not exist", spec.Target),
			Try: "consumer run, which creates its topics, or ORDERS_GROUP, ORDERS_TOPIC and RETRY_AFTER as the consumer has them"}
	}
	return spec, nil
}

// replayJob is one replay under way in this process.
type replayJob struct {
	session *cli.Session
	client  *kafka.Client
	ledger  *ledger.Ledger
	store   replay.Store
	spec    replaySpec
	ranges  []replay.Range
	folder  string
	waits   replay.Waiting // who knows of creates that wait; nil: asked of the log
	object  *replay.Object // nil until it is begun
}

func (j *replayJob) group() settings.Group {
	return settings.Group{Topic: j.spec.Input, Group: j.spec.Group, RetryAfter: j.spec.RetryAfter}
}

func (j *replayJob) topics() order.Topics { return j.group().Topics() }

// waiting knows the orders whose create waits somewhere. release gives its files back.
func (j *replayJob) waiting(ctx context.Context) (_ replay.Waiting, release func(), _ error) {
	if j.waits != nil {
		return j.waits, func() {}, nil
	}
	id := ""
	if j.object != nil {
		id = j.object.ID
	}
	waiting, err := j.log().waitingFor(ctx, j.session, j.group(), id)
	if err != nil {
		return nil, nil, err
	}
	return waiting, waiting.Close, nil
}

func (j *replayJob) log() replayLog { return replayLog{client: j.client, group: j.spec.Group} }

// rules are the rules of plan and execution alike.
func (j *replayJob) rules(waiting replay.Waiting) replay.Rules {
	return replay.Rules{
		Filter:      j.spec.Filter,
		TooOld:      horizonOf(settings.Dedup{Horizon: j.spec.Horizon}),
		MaxReplays:  j.spec.MaxReplays,
		MaxBytes:    order.MaxForwardBytes - replayHeaderBytes,
		ChangesOnly: j.spec.ChangesOnly,
		Limit:       j.spec.MaxMessages,
		Waiting:     waiting,
		Folder:      j.folder,
		Now:         time.Now,
	}
}

// replayHeaderBytes is more than the headers of a replay take.
const replayHeaderBytes = 4 << 10

// plan simulates the replay on the database as it is now.
func (j *replayJob) plan(ctx context.Context, answer *replayAnswer) (*replay.Plan, error) {
	waiting, release, err := j.waiting(ctx)
	if err != nil {
		return nil, kafkaFailure(ctx, j.client, err)
	}
	defer release()
	settled, err := j.settled(ctx)
	if err != nil {
		return nil, kafkaFailure(ctx, j.client, err)
	}
	var plan *replay.Plan
	total, said := replay.Total(j.ranges), time.Now()
	err = j.ledger.Snapshot(ctx, func(view *ledger.Snapshot) error {
		planner := replay.Planner{
			Source: replay.NewSource(j.log(), j.ranges), Rules: j.rules(waiting), View: view, Settled: settled, Visit: answer.visit(),
			Progress: func(scanned int64) {
				if time.Since(said) >= cli.LineEvery {
					said = time.Now()
					j.session.Say("%s: planned %d of %d", j.session.Name, scanned, total)
				}
			},
		}
		plan, err = planner.Plan(ctx)
		return err
	})
	if err != nil {
		answer.breakOff(err)
		return nil, j.failure(ctx, err)
	}
	return plan, nil
}

// settled is how far the group has come in the topic that is selected from, if it
// reads that.
func (j *replayJob) settled(ctx context.Context) (replay.Positions, error) {
	if !slices.Contains(j.topics().Consumed(), j.spec.Topic) {
		return nil, nil //nolint:nilnil // nothing is known, and nothing is wrong
	}
	found, err := j.log().Positions(ctx, []string{j.spec.Topic})
	settled := replay.Positions{j.spec.Topic: make(map[int]int64)}
	for _, p := range found {
		settled[p.Topic][p.Partition] = p.Committed
	}
	return settled, err
}

// failure gives an error its code, whichever server it is of.
func (j *replayJob) failure(ctx context.Context, err error) error {
	if errors.Is(err, kafka.ErrDataLoss) {
		return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: "the command with a later --from, or --from start"}
	}
	return databaseFailure(ctx, err)
}

// planAndDo plans, and carries it out if it was told to.
func (j *replayJob) planAndDo(ctx context.Context, answer *replayAnswer, kind string, deed ReplayDeed) error {
	plan, err := j.plan(ctx, answer)
	if err != nil {
		return err
	}
	answer.plan(j.spec, j.ranges, plan)
	if !deed.Execute || plan.Publish == 0 {
		answer.end(nil)
		return errors.Join(answer.err, notDone(j.session, j.spec.Topic, plan))
	}
	now := time.Now()
	err = j.begin(ctx, j.session.Abort, replay.Object{
		ID: newReplayID(now), Kind: kind, Ranges: j.ranges, Reason: deed.Reason, Who: deed.who(),
		CreatedAt: now, Progress: replay.Progress{Total: plan.Publish, PlannedHeldBack: new(plan.Count(replay.HeldBack))},
	})
	answer.end(j.object)
	return errors.Join(answer.err, err)
}

// begin records the replay and carries it out.
func (j *replayJob) begin(take, work context.Context, o replay.Object) error {
	text, err := json.Marshal(j.spec)
	if err != nil {
		return fmt.Errorf("write the spec of replay %s: %w", o.ID, err)
	}
	o.Spec = text
	begun, err := j.store.Begin(take, o, replayHolder())
	if err != nil {
		return replayFailure(take, j.session, o.ID, err)
	}
	j.object = &begun
	j.session.Say("%s: replay %s: %s to %s; see it with: %s replay show %s", j.session.Name, o.ID,
		cli.Counted64(o.Progress.Total, "message"), j.spec.Target, j.session.Name, o.ID)
	return j.execute(take, work)
}

// execute publishes what is left of the replay, which this process holds.
func (j *replayJob) execute(take, work context.Context) error {
	ramp, staged, err := replay.ParseRamp(j.spec.Ramp)
	if err != nil {
		return fmt.Errorf("replay %s: %w", j.object.ID, err)
	}
	waiting, release, err := j.waiting(take)
	if err != nil {
		return kafkaFailure(take, j.client, err)
	}
	defer release()
	publisher := j.client.NewPublisher(nil)
	defer publisher.Close() //nolint:errcheck // every answer has been given
	talk := newReplayTalk(j.session, j.object)
	executor := replay.Executor{
		Source: replay.NewSource(j.log(), j.ranges), Rules: j.rules(waiting), View: j.ledger, Store: j.store,
		Log: j.log(), Publisher: publisher, Topics: j.topics(), Target: j.spec.Target,
		Staged: staged, Ramp: ramp, MaxFailed: j.spec.MaxFailed, Rate: j.spec.Rate, Patience: j.spec.Patience,
		Hopeless: hopeless, Tell: talk.tell,
	}
	if j.spec.Audit && staged {
		executor.Audit = auditFor(j.ledger, talk.audit)
	}
	err = executor.Run(take, work, j.object)
	talk.end()
	if !errors.Is(err, replay.ErrLost) { // else what is known here is not how it stands
		j.session.Say("%s: %s", j.session.Name, replaySentence(j.object))
	}
	if err == nil {
		err = heldBackFailure(j.object)
	}
	return replayFailure(work, j.session, j.object.ID, err)
}

// hopeless is true for an error of Kafka that comes again however long one waits.
func hopeless(err error) bool {
	return errors.Is(err, kafka.ErrDataLoss) || errors.Is(err, kafka.ErrUnreadable) || kafka.Denied(err) || kafka.LoginFailed(err)
}

// heldBackFailure is that of a replay that is done and has passed over cancels that
// its plan would have published.
func heldBackFailure(o *replay.Object) error {
	n := o.Progress.HeldBackUnplanned()
	if n == 0 {
		return nil
	}
	return &cli.Failure{
		Code: cli.ExitPartial,
		Err: fmt.Errorf("replay %s is done and has held back %s more than its plan said, because an order waited elsewhere: they are not published",
			o.ID, cli.Counted64(n, "cancel")),
		Try: "consumer group describe until nothing waits, then consumer audit --log -o jsonl > findings.jsonl, and producer replay --findings findings.jsonl",
	}
}
