package app

import (
	"context"
	"errors"
	"fmt"
	"math"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/replay"
)

// replayListCommand lists replays, the newest first.
type replayListCommand struct {
	replayCommand
	cli.ListLimit
}

const (
	// replaysShown is how many replays a person is shown.
	replaysShown = 20
	// replaysPage is how many are read at a time: each may name thousands of ranges.
	replaysPage = 20
)

// Run implements a command.
func (c *replayListCommand) Run(ctx context.Context, s *cli.Session) error {
	most, err := c.Most(c.OutputSettings, replaysShown)
	if err != nil {
		return err
	}
	l, store, err := c.store(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // it was only read
	w := replayRows{OutputSettings: c.OutputSettings, session: s}
	more, err := eachReplay(ctx, store, most, w.one)
	if err != nil && w.err == nil {
		return replayFailure(ctx, s, "", err)
	}
	if w.end(); w.err != nil {
		return w.err
	}
	switch {
	case w.n == 0:
		s.Say("%s: there are no replays yet. To plan one: %s replay --from 15m", s.Name, s.Name)
	case more:
		s.Say("the newest %d shown: --limit 0 shows all", w.n)
	}
	return nil
}

// eachReplay visits up to most replays, all if it is 0, and says whether there are
// more. The error of visit ends it.
func eachReplay(ctx context.Context, store replay.Store, most int, visit func(*replay.Object) error) (more bool, err error) {
	left, before := most, ""
	if most == 0 {
		left = math.MaxInt
	}
	for {
		page, err := store.List(ctx, before, replaysPage)
		if err != nil || len(page) == 0 {
			return false, err
		}
		for i := range page {
			if left == 0 {
				return true, nil
			}
			if err := visit(&page[i]); err != nil {
				return false, err
			}
			left--
		}
		before = page[len(page)-1].ID
	}
}

// replayRows writes replays as they come.
type replayRows struct {
	cli.OutputSettings
	session *cli.Session
	n       int
	err     error // the first that writing met
}

const replayRow = "%-21s  %-8s  %-11s  %15s  %7s  %-20s  %s\n"

// one writes one replay.
func (w *replayRows) one(o *replay.Object) error {
	w.n++
	switch w.Output {
	case "jsonl":
		w.err = w.Object(w.session.Stdout, shownReplayOf(o))
	case "json":
		w.print(map[bool]string{true: "[", false: ","}[w.n == 1])
		w.err = errors.Join(w.err, w.Object(w.session.Stdout, shownReplayOf(o)))
	default:
		if w.n == 1 {
			w.print(fmt.Sprintf(replayRow, "REPLAY", "KIND", "STATE", "PUBLISHED", "FAILED", "WHO", "REASON"))
		}
		w.print(fmt.Sprintf(replayRow, o.ID, o.Kind, stateOf(o), fmt.Sprintf("%d/%d", o.Progress.Published, o.Progress.Total),
			fmt.Sprint(o.Progress.FailedAgain()), cli.Shown(o.Who), cli.Shown(o.Reason)))
	}
	return w.err
}

// end writes what is behind the last.
func (w *replayRows) end() {
	switch {
	case w.Output != "json":
	case w.n == 0:
		w.print("[]\n")
	default:
		w.print("]\n")
	}
}

func (w *replayRows) print(text string) {
	if w.err == nil {
		_, w.err = fmt.Fprint(w.session.Stdout, text)
	}
}
