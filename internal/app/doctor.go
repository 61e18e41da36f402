package app

import (
	"context"
	"fmt"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/doctor"
	"orderconsumer/internal/settings"
)

// doctorCommand examines what a consumer with the same settings would need. It
// has all settings of run, so that one command line serves for both.
type doctorCommand struct {
	settings.Consumer
	cli.OutputSettings

	open OpenLedger
}

// Run implements a command.
func (c *doctorCommand) Run(ctx context.Context, s *cli.Session) error {
	err := c.Consumer.Check()
	if err != nil {
		return cli.Usage("%w", err)
	}
	d := doctor.Doctor{Settings: c.Consumer, Open: c.open, Program: s.Name, Patience: doctor.CheckTimeout}
	done := s.Waiting("waiting for Kafka, Redis and the database to answer")
	found := d.Examine(ctx)
	done()
	err = c.tell(s, found)
	if err != nil {
		return err
	}
	return doctor.Conclude(found)
}

// examined is the answer of doctor as one document.
type examined struct {
	OK     bool             `json:"ok"`
	Checks []doctor.Finding `json:"checks"`
}

func (c *doctorCommand) tell(s *cli.Session, found []doctor.Finding) error {
	if c.Output == "json" {
		return c.Object(s.Stdout, examined{OK: doctor.Conclude(found) == nil, Checks: found})
	}
	for _, line := range found {
		var err error
		if c.Machine() {
			err = c.Object(s.Stdout, line)
		} else {
			_, err = fmt.Fprintln(s.Stdout, line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
