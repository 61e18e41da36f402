package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/settings"
)

// checkTimeout bounds the examination of all servers of one kind. It is longer than a
// connection may take to be refused, and short enough to be waited for.
const checkTimeout = 5 * time.Second

// doctorCommand examines what a consumer with the same settings would need. It
// has all settings of run, so that one command line serves for both.
type doctorCommand struct {
	settings.Consumer
	cli.OutputSettings

	open OpenLedger
}

// Run implements a command.
func (c *doctorCommand) Run(ctx context.Context, s *cli.Session) error {
	err := c.Consumer.Validate()
	if err != nil {
		return cli.Usage("%w", err)
	}
	d := doctor{settings: c.Consumer, open: c.open, program: s.Name, patience: checkTimeout}
	found := d.examine(ctx)
	err = c.tell(s, found)
	if err != nil {
		return err
	}
	return conclude(found)
}

// examined is the answer of doctor as one document.
type examined struct {
	OK     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

func (c *doctorCommand) tell(s *cli.Session, found []finding) error {
	if c.Output == "json" {
		return c.Object(s.Stdout, examined{OK: conclude(found) == nil, Checks: found})
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

// status says how one check came out.
type status string

const (
	statusOK   status = "ok"
	statusWarn status = "warn" // works, and not as well or as safely as it should
	statusFail status = "fail" // a consumer cannot work like this
)

// finding is what one check has found.
type finding struct {
	Name   string `json:"name"`
	Status status `json:"status"`
	What   string `json:"what"`
	Fix    string `json:"fix,omitempty"` // what to do; empty when nothing is
	// Unreachable: the check failed because a server does not answer.
	Unreachable bool `json:"unreachable,omitempty"`
	// Skipped: the check was not made, because another one failed.
	Skipped bool `json:"skipped,omitempty"`
}

// String is the finding as one line.
func (f finding) String() string {
	line := fmt.Sprintf("%-6s %s: %s", "["+string(f.Status)+"]", f.Name, f.What)
	if f.Fix != "" {
		line += ", fix: " + f.Fix
	}
	return line
}

// conclude turns findings into the end of a command: nil unless one fails. What
// to try next stands in each finding.
func conclude(found []finding) error {
	failed, code := 0, cli.ExitFailed
	for _, line := range found {
		if line.Status != statusFail {
			continue
		}
		failed++
		if line.Unreachable {
			code = cli.ExitUnreachable
		}
	}
	if failed == 0 {
		return nil
	}
	return &cli.Failure{Code: code, Err: fmt.Errorf("%d of %d checks failed", failed, len(found))}
}

// doctor examines everything a consumer needs. It changes nothing.
type doctor struct {
	settings settings.Consumer
	open     OpenLedger
	program  string // for the commands that findings name
	// starting: a consumer is about to run. It creates topics that are missing,
	// and goes on without Redis unless the lock is required.
	starting bool
	// migrates: it applies pending migrations, too.
	migrates bool
	// patience bounds the examination of one server: checkTimeout, less in tests.
	patience time.Duration
}

// chart collects what is found about one server.
type chart struct {
	found  []finding
	clocks []clockReading
}

// ok notes that a check came out well.
func (c *chart) ok(name, format string, args ...any) {
	c.found = append(c.found, finding{Name: name, Status: statusOK, What: fmt.Sprintf(format, args...)})
}

// note adds any other finding.
func (c *chart) note(f finding) { c.found = append(c.found, f) }

// exposed warns of a risk, if there is one.
func (c *chart) exposed(name, what, fix string) {
	if what != "" {
		c.note(finding{Name: name + " security", Status: statusWarn, What: what, Fix: fix})
	}
}

// skip notes checks that could not be made because of an earlier one, whose fix
// is theirs too.
func (c *chart) skip(because string, names ...string) {
	for _, name := range names {
		c.note(finding{Name: name, Status: statusWarn, What: "not looked at, because " + because, Skipped: true})
	}
}

// examine makes all checks, those of different servers at the same time, and
// returns what they found, always in the same order.
func (d doctor) examine(ctx context.Context) []finding {
	checks := []func(context.Context, *chart){d.files, d.kafka, d.redis, d.cache, d.database}
	charts := make([]chart, len(checks))
	var examination sync.WaitGroup
	for i, check := range checks {
		examination.Go(func() {
			ctx, cancel := context.WithTimeoutCause(ctx, d.patience, errNoAnswer)
			defer cancel()
			check(ctx, &charts[i])
		})
	}
	examination.Wait()
	var found []finding
	var clocks []clockReading
	for _, c := range charts {
		found = append(found, c.found...)
		clocks = append(clocks, c.clocks...)
	}
	return append(found, compareClocks(clocks))
}

// errNoAnswer is the end of the patience with a server.
var errNoAnswer = fmt.Errorf("no answer within %s", checkTimeout)

// reason is an error as a finding tells it: a time-out of ours in our words, and
// a connection that failed without the names of all who tried.
func reason(ctx context.Context, err error) string {
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), errNoAnswer) {
		return errNoAnswer.Error()
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network.Error()
	}
	return err.Error()
}
