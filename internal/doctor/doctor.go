// Package doctor examines everything that a consumer needs, before anything is begun: brokers,
// topics, Redis, cache, database, clocks, files. It changes nothing, and says how to mend what it finds.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock/ledger"
)

// CheckTimeout bounds the examination of all servers of one kind. It is longer than a
// connection may take to be refused, and short enough to be waited for.
const CheckTimeout = 5 * time.Second

// Status says how one check came out.
type Status string

// How a check may come out.
const (
	StatusOK   Status = "ok"
	StatusWarn Status = "warn" // works, and not as well or as safely as it should
	StatusFail Status = "fail" // a consumer cannot work like this
)

// Finding is what one check has found.
type Finding struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	What   string `json:"what"`
	Fix    string `json:"fix,omitempty"` // what to do; empty when nothing is
	// Unreachable: the check failed because a server does not answer.
	Unreachable bool `json:"unreachable,omitempty"`
	// Skipped: the check was not made, because another one failed.
	Skipped bool `json:"skipped,omitempty"`
}

// String is the finding as one line.
func (f Finding) String() string {
	line := fmt.Sprintf("%-6s %s: %s", "["+string(f.Status)+"]", f.Name, f.What)
	if f.Fix != "" {
		line += ", fix: " + f.Fix
	}
	return line
}

// Conclude turns findings into the end of a command: nil unless one fails. What
// to try next stands in each finding.
func Conclude(found []Finding) error {
	failed, code := 0, cli.ExitFailed
	for _, line := range found {
		if line.Status != StatusFail {
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

// Doctor examines everything a consumer needs. It changes nothing.
type Doctor struct {
	// Settings are what the consumer would run with.
	Settings settings.Consumer
	// Open opens the database of a URL.
	Open func(ctx context.Context, url string) (*ledger.Ledger, error)
	// Program is what the program is called in the commands that findings name.
	Program string
	// Starting: a consumer is about to run. It creates topics that are missing,
	// and goes on without Redis unless the lock is required.
	Starting bool
	// Migrates: it applies pending migrations, too.
	Migrates bool
	// Patience bounds the examination of one server: CheckTimeout, less in tests.
	Patience time.Duration
}

// chart collects what is found about one server.
type chart struct {
	found  []Finding
	clocks []clockReading
}

// ok notes that a check came out well.
func (c *chart) ok(name, format string, args ...any) {
	c.found = append(c.found, Finding{Name: name, Status: StatusOK, What: fmt.Sprintf(format, args...)})
}

// note adds any other finding.
func (c *chart) note(f Finding) { c.found = append(c.found, f) }

// exposed warns of a risk, if there is one.
func (c *chart) exposed(name, what, fix string) {
	if what != "" {
		c.note(Finding{Name: name + " security", Status: StatusWarn, What: what, Fix: fix})
	}
}

// skip notes checks that could not be made because of an earlier one, whose fix
// is theirs too.
func (c *chart) skip(because string, names ...string) {
	for _, name := range names {
		c.note(Finding{Name: name, Status: StatusWarn, What: "not looked at, because " + because, Skipped: true})
	}
}

// Examine makes all checks, those of different servers at the same time, and
// returns what they found, always in the same order.
func (d Doctor) Examine(ctx context.Context) []Finding {
	checks := []func(context.Context, *chart){d.files, d.kafka, d.redis, d.cache, d.database}
	charts := make([]chart, len(checks))
	var examination sync.WaitGroup
	for i, check := range checks {
		examination.Go(func() {
			ctx, cancel := context.WithTimeoutCause(ctx, d.Patience, ErrNoAnswer)
			defer cancel()
			check(ctx, &charts[i])
		})
	}
	examination.Wait()
	var found []Finding
	var clocks []clockReading
	for _, c := range charts {
		found = append(found, c.found...)
		clocks = append(clocks, c.clocks...)
	}
	return append(found, compareClocks(clocks))
}

// ErrNoAnswer is the end of the patience with a server.
var ErrNoAnswer = fmt.Errorf("no answer within %s", CheckTimeout)

// reason is an error as a finding tells it: a time-out of ours in our words, and
// a connection that failed without the names of all who tried.
func reason(ctx context.Context, err error) string {
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrNoAnswer) {
		return ErrNoAnswer.Error()
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network.Error()
	}
	return err.Error()
}
