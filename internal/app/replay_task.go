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

// replayTask is one replay under way in this process.
type replayTask struct {
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

func (t *replayTask) group() settings.Group {
	return settings.Group{Topic: t.spec.Input, Group: t.spec.Group, RetryAfter: t.spec.RetryAfter}
}

func (t *replayTask) topics() order.Topics { return t.group().Topics() }

// waiting knows the orders whose create waits somewhere. release gives its files back.
func (t *replayTask) waiting(ctx context.Context) (_ replay.Waiting, release func(), _ error) {
	if t.waits != nil {
		return t.waits, func() {}, nil
	}
	id := ""
	if t.object != nil {
		id = t.object.ID
	}
	waiting, err := t.log().waitingFor(ctx, t.session, t.group(), id)
	if err != nil {
		return nil, nil, err
	}
	return waiting, waiting.Close, nil
}

func (t *replayTask) log() replayLog { return replayLog{client: t.client, group: t.spec.Group} }

// rules are the rules of plan and execution alike.
func (t *replayTask) rules(waiting replay.Waiting) replay.Rules {
	return replay.Rules{
		Filter:      t.spec.Filter,
		TooOld:      horizonOf(settings.Dedup{Horizon: t.spec.Horizon}),
		MaxReplays:  t.spec.MaxReplays,
		MaxBytes:    order.MaxForwardBytes - replayHeaderBytes,
		ChangesOnly: t.spec.ChangesOnly,
		Limit:       t.spec.MaxMessages,
		Waiting:     waiting,
		Folder:      t.folder,
		Now:         time.Now,
	}
}

// replayHeaderBytes is more than the headers of a replay take.
const replayHeaderBytes = 4 << 10

// plan simulates the replay on the database as it is now.
func (t *replayTask) plan(ctx context.Context, answer *replayAnswer) (*replay.Plan, error) {
	waiting, release, err := t.waiting(ctx)
	if err != nil {
		return nil, kafkaFailure(ctx, t.client, err)
	}
	defer release()
	settled, err := t.settled(ctx)
	if err != nil {
		return nil, kafkaFailure(ctx, t.client, err)
	}
	var plan *replay.Plan
	total, said := replay.Total(t.ranges), time.Now()
	err = t.ledger.Snapshot(ctx, func(view *ledger.Snapshot) error {
		planner := replay.Planner{
			Source: replay.NewSource(t.log(), t.ranges), Rules: t.rules(waiting), View: view, Settled: settled, Visit: answer.visit(),
			Progress: func(scanned int64) {
				if time.Since(said) >= cli.LineEvery {
					said = time.Now()
					t.session.Say("%s: planned %d of %d", t.session.Name, scanned, total)
				}
			},
		}
		plan, err = planner.Plan(ctx)
		return err
	})
	if err != nil {
		answer.breakOff(err)
		return nil, t.failure(ctx, err)
	}
	return plan, nil
}

// settled is how far the group has come in the topic that is selected from, if it
// reads that.
func (t *replayTask) settled(ctx context.Context) (replay.Positions, error) {
	if !slices.Contains(t.topics().Consumed(), t.spec.Topic) {
		return nil, nil //nolint:nilnil // nothing is known, and nothing is wrong
	}
	found, err := t.log().Positions(ctx, []string{t.spec.Topic})
	settled := replay.Positions{t.spec.Topic: make(map[int]int64)}
	for _, p := range found {
		settled[p.Topic][p.Partition] = p.Committed
	}
	return settled, err
}

// failure gives an error of a plan its code and the next command, whichever server it
// is of.
func (t *replayTask) failure(ctx context.Context, err error) error {
	if errors.Is(err, kafka.ErrDataLoss) {
		return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: "the command with a later --from, or --from start"}
	}
	if _, kafkas := errors.AsType[*logError](err); kafkas {
		return kafkaFailure(ctx, t.client, err)
	}
	return databaseFailure(ctx, err)
}

// planAndDo plans, and carries it out if it was told to.
func (t *replayTask) planAndDo(ctx context.Context, answer *replayAnswer, kind string, deed ReplayDeed) error {
	plan, err := t.plan(ctx, answer)
	if err != nil {
		return err
	}
	answer.plan(t.spec, t.ranges, plan)
	if !deed.Execute || plan.Publish == 0 {
		answer.end(nil)
		return errors.Join(answer.err, notDone(t.session, t.spec.Topic, plan))
	}
	now := time.Now()
	err = t.begin(ctx, t.session.Abort, replay.Object{
		ID: newReplayID(now), Kind: kind, Ranges: t.ranges, Reason: deed.Reason, Who: whoIs(deed.Who),
		CreatedAt: now, Progress: replay.Progress{Total: plan.Publish, PlannedHeldBack: new(plan.Count(replay.HeldBack))},
	})
	answer.end(t.object)
	return errors.Join(answer.err, err)
}

// begin records the replay and carries it out.
func (t *replayTask) begin(take, work context.Context, o replay.Object) error {
	text, err := json.Marshal(t.spec)
	if err != nil {
		return fmt.Errorf("write the spec of replay %s: %w", o.ID, err)
	}
	o.Spec = text
	begun, err := t.store.Begin(take, o, replayHolder())
	if err != nil {
		return replayFailure(take, t.session, o.ID, err)
	}
	t.object = &begun
	t.session.Say("%s: replay %s: %s to %s; see it with: %s replay show %s", t.session.Name, o.ID,
		cli.Counted64(o.Progress.Total, "message"), t.spec.Target, t.session.Name, o.ID)
	return t.execute(take, work)
}

// execute publishes what is left of the replay, which this process holds.
func (t *replayTask) execute(take, work context.Context) error {
	ramp, staged, err := replay.ParseRamp(t.spec.Ramp)
	if err != nil {
		return fmt.Errorf("replay %s: %w", t.object.ID, err)
	}
	waiting, release, err := t.waiting(take)
	if err != nil {
		return kafkaFailure(take, t.client, err)
	}
	defer release()
	publisher := t.client.NewPublisher(nil)
	defer publisher.Close() //nolint:errcheck // every answer has been given
	talk := newReplayTalk(t.session, t.object)
	executor := replay.Executor{
		Source: replay.NewSource(t.log(), t.ranges), Rules: t.rules(waiting), View: t.ledger, Store: t.store,
		Log: t.log(), Publisher: publisher, Topics: t.topics(), Target: t.spec.Target,
		Staged: staged, Ramp: ramp, MaxFailed: t.spec.MaxFailed, Rate: t.spec.Rate, Patience: t.spec.Patience,
		Hopeless: hopeless, Tell: talk.tell,
	}
	if t.spec.Audit && staged {
		executor.Audit = auditFor(t.ledger, talk.audit)
	}
	err = executor.Run(take, work, t.object)
	talk.end()
	if !errors.Is(err, replay.ErrLost) { // else what is known here is not how it stands
		t.session.Say("%s: %s", t.session.Name, replaySentence(t.object))
	}
	if err == nil {
		err = heldBackFailure(t.object)
	}
	return replayFailure(work, t.session, t.object.ID, err)
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
	try := "consumer group describe until nothing waits, then consumer audit --log -o jsonl > findings.jsonl, and producer replay --findings findings.jsonl"
	if o.Kind == replay.KindRedrive { // they are open letters still
		try = "consumer group describe until nothing waits, then producer redrive retry --type " + string(order.Cancelled)
	}
	return &cli.Failure{
		Code: cli.ExitPartial,
		Err: fmt.Errorf("replay %s is done and has held back %s more than its plan said, because an order waited elsewhere: they are not published",
			o.ID, cli.Counted64(n, "cancel")),
		Try: try,
	}
}
