package app

import (
	"context"
	"fmt"

	"orderconsumer/internal/cli"
)

// migrateCommand brings the tables up to this program's version.
type migrateCommand struct {
	databaseCommand
	cli.OutputSettings
	Status bool `help:"Change nothing; name the migrations that are not applied yet."`
}

// migrated is what a migration came to.
type migrated struct {
	Applied []string `json:"applied"`
	Pending []string `json:"pending"`
}

// Run implements a command.
func (c *migrateCommand) Run(ctx context.Context, s *cli.Session) error {
	l, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // nothing is under way
	answer := migrated{Applied: []string{}, Pending: []string{}}
	done := s.Waiting("migrating: other instances may do so, too")
	if c.Status {
		answer.Pending, err = l.Pending(ctx)
	} else {
		var applied []string
		applied, err = l.Migrate(ctx)
		answer.Applied = append(answer.Applied, applied...)
	}
	done()
	// What was applied before it failed stays applied: that is said in any case.
	if err == nil || len(answer.Applied) > 0 {
		if told := c.tell(s, answer); told != nil {
			return told
		}
	}
	if err != nil {
		return databaseFailure(ctx, err)
	}
	return nil
}

func (c *migrateCommand) tell(s *cli.Session, m migrated) error {
	if c.Machine() {
		return c.Object(s.Stdout, m)
	}
	text := ""
	for _, name := range m.Applied {
		text += "applied " + name + "\n"
	}
	for _, name := range m.Pending {
		text += "pending " + name + "\n"
	}
	if text == "" {
		text = "nothing to do\n"
	}
	_, err := fmt.Fprint(s.Stdout, text)
	return err
}
