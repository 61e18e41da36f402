package telemetry

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// defaultCheckEvery notices a change within half of a Kubernetes probe's
	// default period of ten seconds.
	defaultCheckEvery = 5 * time.Second
	// defaultCheckTimeout is far above a healthy ping and under the interval.
	defaultCheckTimeout = 2 * time.Second
)

// Check asks one dependency how it is.
type Check struct {
	// Name is the check's line in the report.
	Name string
	// Probe returns nil when the dependency can be used. It must return when
	// its context ends.
	Probe func(context.Context) error
}

// PollConfig says how dependencies are asked.
type PollConfig struct {
	Checks []Check
	// Every is the time between two probes of one dependency. Default 5 s.
	Every time.Duration
	// Timeout bounds one probe. Default 2 s.
	Timeout time.Duration
}

// Poll asks each dependency at once and then again and again, until ctx ends,
// and notes the results. The dependencies do not wait for one another. Probes
// of the health never ask a dependency themselves: what asks them must not be
// able to load the database.
func (h *Health) Poll(ctx context.Context, cfg PollConfig) {
	if cfg.Every <= 0 {
		cfg.Every = defaultCheckEvery
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultCheckTimeout
	}
	var wg sync.WaitGroup
	for _, c := range cfg.Checks {
		wg.Go(func() { h.poll(ctx, cfg, c) })
	}
	wg.Wait()
}

func (h *Health) poll(ctx context.Context, cfg PollConfig, c Check) {
	tick := time.NewTicker(cfg.Every)
	defer tick.Stop()
	for {
		err := probe(ctx, cfg.Timeout, c)
		// A probe cut short by the end of polling says nothing.
		if ctx.Err() != nil {
			return
		}
		h.Checked(c.Name, err)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func probe(ctx context.Context, timeout time.Duration, c Check) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := c.Probe(ctx)
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		return fmt.Errorf("no answer within %s: %w", timeout, err)
	}
	return err
}
