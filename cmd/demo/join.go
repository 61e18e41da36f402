package main

import (
	"context"
	"errors"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/instance"
	"orderconsumer/internal/telemetry"
)

// signpostPoll is how soon a consumer that has joined notices that the shop is
// closing.
const signpostPoll = 300 * time.Millisecond

// joinCommand adds a consumer to the running demo.
type joinCommand struct {
	Signpost string `type:"path" env:"DEMO_SIGNPOST" help:"File that tells where the demo is. Default: one for each user."`
}

// Run implements a command.
func (c *joinCommand) Run(take context.Context, session *cli.Session) error {
	return c.join(take, session)
}

// join runs a consumer until take ends or the demo closes.
func (c *joinCommand) join(take context.Context, session *cli.Session) error {
	sign := newSignpost(c.Signpost)
	post, err := sign.find()
	if err != nil {
		return &cli.Failure{Code: cli.ExitUnreachable, Err: err, Try: tryOpening}
	}
	demo := *post
	post.API = anyHTTP
	settings, err := settingsAt(post)
	if err != nil {
		return err
	}
	i, err := instance.Open(take, settings, instance.Options{
		Log:        telemetry.NewLogger(session.Stderr, telemetry.LogConfig{Format: telemetry.LogText}),
		OpenLedger: openLedger,
	})
	if err != nil {
		return err
	}
	defer i.Close()
	err = i.Prepare(take)
	if err != nil {
		return err
	}
	session.Say("joining the demo of process %d; Ctrl-C leaves it again", demo.PID)
	take, leave := context.WithCancelCause(take)
	defer leave(nil)
	go sign.stay(take, leave, &demo)
	began := time.Now()
	err = i.Run(take, session.Abort)
	if err == nil && errors.Is(context.Cause(take), errClosing) {
		session.Say("the demo is closing")
	}
	session.Say("this consumer %s", instance.Summary(i.Settled(), time.Since(began)))
	return err
}

// errClosing: the demo has taken its signpost away, or has gone itself.
var errClosing = errors.New("the demo is closing")

// stay calls leave when the demo closes.
func (s signpost) stay(ctx context.Context, leave context.CancelCauseFunc, demo *whereabouts) {
	tick := time.NewTicker(signpostPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := s.read()
		if err != nil || !now.sameDemo(demo) || !alive(demo.PID) {
			leave(errClosing)
			return
		}
	}
}
