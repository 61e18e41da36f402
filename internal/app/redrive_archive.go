package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/redrive"
	"orderconsumer/internal/stock/ledger"
)

// redriveMarkCommand is what archiving and restoring have in common.
type redriveMarkCommand struct {
	redriveCommand
	LetterSelection
	Who     string `env:"REDRIVE_WHO" help:"Who decides it; kept with the note. Default: the user and the machine."`
	Execute bool   `help:"Do it. Without this nothing is changed."`
}

// redriveArchiveCommand takes letters out of the way.
type redriveArchiveCommand struct {
	redriveMarkCommand
	Note string `required:"" help:"Why nothing is to be done; kept with the letters."`
}

// Run implements a command.
func (c *redriveArchiveCommand) Run(ctx context.Context, s *cli.Session) error {
	return c.mark(ctx, s, redrive.Open, redrive.MarkArchived, c.Note)
}

// redriveRestoreCommand brings archived letters back.
type redriveRestoreCommand struct {
	redriveMarkCommand
	Note string `help:"Why, after all; kept with the letters."`
}

// Run implements a command.
func (c *redriveRestoreCommand) Run(ctx context.Context, s *cli.Session) error {
	return c.mark(ctx, s, redrive.Archived, redrive.MarkRestored, c.Note)
}

// markedLetters is what marking came to.
type markedLetters struct {
	Executed bool     `json:"executed"`
	Mark     string   `json:"mark"`
	Note     string   `json:"note"`
	Letters  []string `json:"letters"`
}

// mark records the decision about the selected letters that are in the state.
func (c *redriveMarkCommand) mark(ctx context.Context, s *cli.Session, state redrive.State, kind redrive.MarkKind, note string) error {
	if c.all() {
		return cli.Usage("which ones? Give ids, --cause, --order or --type; %s redrive groups shows the causes", s.Name)
	}
	filter, err := c.filter([]redrive.State{state})
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
		return d.nobody(s, fmt.Sprintf("no letter is like that and %s", state))
	}
	answer := markedLetters{Executed: c.Execute, Mark: string(kind), Note: note, Letters: []string{}}
	for _, l := range letters {
		answer.Letters = append(answer.Letters, l.ID.String())
	}
	if c.Execute {
		err = d.box.Mark(ctx, letters, kind, note, whoIs(c.Who), time.Now())
		if errors.Is(err, ledger.ErrMarked) {
			return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: s.Name + " redrive list --state all"}
		}
		if err != nil {
			return databaseFailure(ctx, err)
		}
	} else {
		s.Say("nothing was changed: add --execute to do it")
	}
	if c.Machine() {
		return c.Object(s.Stdout, answer)
	}
	_, err = fmt.Fprintf(s.Stdout, "%s %s\n", cli.Counted(len(letters), "dead letter"), would(c.Execute, string(kind), "would be "+string(kind)))
	return err
}
