package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"orderconsumer/internal/cli"
)

// runCommand opens the shop.
type runCommand struct {
	cli.OutputSettings
	Once     bool   `help:"Run to the end, audit, and end; on ports and in a folder of its own, beside any other demo."`
	Orders   int    `placeholder:"N" help:"Stop after this many orders. Default: 20000 with --once, none without."`
	Seed     uint64 `default:"1" help:"Chooses the orders; the same seed makes up the same ones."`
	Rate     int    `default:"40" help:"Events a second; --once takes them as fast as it can."`
	Signpost string `type:"path" env:"DEMO_SIGNPOST" help:"File that tells other commands where this demo is. Default: one for each user."`
}

// onceOrders is how many orders a run has that does not say.
const onceOrders = 20_000

// maxRate is more than the demo's database can do.
const maxRate = 100_000

// check refuses what makes no sense.
func (c *runCommand) check() error {
	bad := func(text string) error {
		return &cli.Failure{Code: cli.ExitUsage, Err: errors.New(text), Try: "demo --help"}
	}
	switch {
	case c.Orders < 0:
		return bad("--orders must not be negative")
	case c.Rate < 1 || c.Rate > maxRate:
		return bad("--rate must be 1 to 100000")
	}
	return nil
}

// Run implements a command.
func (c *runCommand) Run(take context.Context, session *cli.Session) error {
	err := c.check()
	if err != nil {
		return err
	}
	p := usualPorts
	if c.Once {
		p = ports{http: noHTTP}
	}
	return c.openOn(take, session, p)
}

// openOn opens the shop on servers of its own.
func (c *runCommand) openOn(take context.Context, session *cli.Session, p ports) error {
	w, err := openWorld(session.Abort, p)
	if err != nil {
		return &cli.Failure{Code: cli.ExitFailed, Err: err}
	}
	var r *report
	if c.Once {
		r, err = c.once(take, session, w)
	} else {
		r, err = c.live(take, session, w)
	}
	w.close()
	if err != nil || !r.holds() {
		session.Say("the log and the database are left in %s", w.Folder)
	} else {
		_ = os.RemoveAll(w.Folder) // in the folder for what is temporary anyway
	}
	if err != nil {
		return err
	}
	return c.tell(session, r)
}

// tell gives the report, and what the audit found.
func (c *runCommand) tell(session *cli.Session, r *report) error {
	for _, text := range r.texts {
		session.Say("audit: %s", text)
	}
	write := r.writeText
	if c.Output != "text" {
		write = r.writeJSON
	}
	err := write(session.Stdout)
	if err == nil && !r.holds() {
		err = &cli.Failure{Code: cli.ExitFailed, Err: errors.New("the audit does not hold")}
	}
	return err
}

// conclude closes the consumer, audits, and reports. err is what s.run ended
// with.
func (s *shop) conclude(work context.Context, c *consumer, err error, took time.Duration) (*report, error) {
	ended := c.close()
	if ended != nil {
		return nil, ended
	}
	if err != nil && !errors.Is(err, errUnsettled) {
		if work.Err() != nil {
			err = context.Cause(work)
		}
		return nil, err
	}
	found, auditErr := s.audit(work)
	if auditErr != nil {
		return nil, auditErr
	}
	if err != nil {
		found.Wrong++
		found.Findings = append(found.Findings, fmt.Sprintf("%v: %d messages are left", err, found.Unsettled))
	}
	return newReport(found, took), nil
}
