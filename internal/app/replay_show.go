package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/settings"
)

// shownReplay is a replay as it is written for programs.
type shownReplay struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind"`
	State     string          `json:"state"` // also interrupted: running, and its process has died
	CreatedAt string          `json:"created_at"`
	Who       string          `json:"who"`
	Reason    string          `json:"reason"`
	Ranges    []replay.Range  `json:"ranges"`
	Spec      json.RawMessage `json:"spec"`
	Progress  replay.Progress `json:"progress"`
	Note      string          `json:"note,omitempty"`
	Holder    string          `json:"holder"`
}

func shownReplayOf(o *replay.Object) shownReplay {
	return shownReplay{ID: o.ID, Kind: o.Kind, State: stateOf(o), CreatedAt: cli.UTC(o.CreatedAt), Who: o.Who, Reason: o.Reason,
		Ranges: o.Ranges, Spec: o.Spec, Progress: o.Progress, Note: o.Note, Holder: o.Holder}
}

// stateOf is the state in a word.
func stateOf(o *replay.Object) string {
	if o.Interrupted() {
		return "interrupted"
	}
	return string(o.State)
}

// replaySentence says how a replay stands.
func replaySentence(o *replay.Object) string {
	p := &o.Progress
	text := fmt.Sprintf("replay %s is %s: published %d of %d", o.ID, stateOf(o), p.Published, p.Total)
	var skipped []string
	for _, class := range slices.Sorted(maps.Keys(p.Skipped)) {
		skipped = append(skipped, fmt.Sprintf(", %d %s", p.Skipped[class], class))
	}
	text += strings.Join(skipped, "")
	if failed := p.FailedAgain(); failed > 0 {
		text += fmt.Sprintf(", %d failed again (%d to the next tier, %d dead)", failed, p.Retried, p.Dead)
	}
	if o.Note != "" {
		text += ": " + o.Note
	}
	return text
}

// replayShowCommand shows one replay.
type replayShowCommand struct {
	replayCommand
	ID string `arg:"" help:"Its name, as the list has it."`
}

// Run implements a command.
func (c *replayShowCommand) Run(ctx context.Context, s *cli.Session) error {
	l, store, err := c.store(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // it was only read
	o, err := store.Get(ctx, c.ID)
	if err != nil {
		return replayFailure(ctx, s, c.ID, err)
	}
	if c.Machine() {
		return c.Object(s.Stdout, shownReplayOf(&o))
	}
	_, err = fmt.Fprint(s.Stdout, replayPage(&o, s.Name))
	return err
}

// replayCancelCommand ends a replay.
type replayCancelCommand struct {
	replayCommand
	ID   string `arg:"" help:"Its name, as the list has it."`
	Note string `default:"cancelled" help:"Why; kept with the replay."`
}

// Run implements a command.
func (c *replayCancelCommand) Run(ctx context.Context, s *cli.Session) error {
	l, store, err := c.store(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // it is committed, or an error is at hand
	o, err := store.Cancel(ctx, c.ID, c.Note+" by "+whoIs(""))
	if err != nil {
		return replayFailure(ctx, s, c.ID, err)
	}
	if c.Machine() {
		return c.Object(s.Stdout, shownReplayOf(&o))
	}
	_, err = fmt.Fprintln(s.Stdout, replaySentence(&o))
	return err
}

// replayResumeCommand goes on with a replay.
type replayResumeCommand struct {
	replayCommand
	ID         string         `arg:"" help:"Its name, as the list has it."`
	Kafka      settings.Kafka `embed:""`
	Rate       *float64       `help:"Another rate than it was begun with."`
	MaxFailed  *float64       `help:"Another share that may fail again than it was begun with."`
	TempFolder string         `type:"path" env:"REPLAY_TEMP_FOLDER" help:"Folder for the files of the simulation; the system's if it is left out."`
}

// Run implements a command.
func (c *replayResumeCommand) Run(ctx context.Context, s *cli.Session) error {
	l, store, err := c.store(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // everything is committed, or an error is at hand
	o, err := store.Get(ctx, c.ID)
	if err != nil {
		return replayFailure(ctx, s, c.ID, err)
	}
	task := &replayTask{session: s, ledger: l, store: store, ranges: o.Ranges, folder: c.TempFolder}
	if err := json.Unmarshal(o.Spec, &task.spec); err != nil {
		return fmt.Errorf("spec of replay %s: %w", c.ID, err)
	}
	pace := ReplayPace{Rate: task.spec.Rate, MaxFailed: task.spec.MaxFailed, Patience: task.spec.Patience}
	if c.Rate != nil {
		pace.Rate = *c.Rate
	}
	if c.MaxFailed != nil {
		pace.MaxFailed = *c.MaxFailed
	}
	if err := pace.check(); err != nil {
		return err
	}
	task.spec.Rate, task.spec.MaxFailed = pace.Rate, pace.MaxFailed
	task.client, err = c.Kafka.Client(s.Name + "-replay")
	if err != nil {
		return cli.Usage("%w", err)
	}
	defer task.client.Close()
	if _, err := task.client.Ping(ctx); err != nil {
		return kafkaFailure(ctx, task.client, err)
	}
	o, err = store.Resume(ctx, c.ID, replayHolder())
	if err != nil {
		return replayFailure(ctx, s, c.ID, err)
	}
	task.object = &o
	err = task.execute(ctx, s.Abort)
	if c.Machine() {
		if told := c.Object(s.Stdout, shownReplayOf(task.object)); told != nil {
			return told
		}
	}
	return err
}
