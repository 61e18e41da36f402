package app

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/replay"
)

// TestTimeLeftOfAReplay: it is shown once it can be known, from what the last stage
// publishes. The ones before publish one message and wait for it.
func TestTimeLeftOfAReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		talk := newReplayTalk(&cli.Session{Name: "producer", Stderr: cli.NewTalker(&out)}, &replay.Object{ID: "r-1", Progress: replay.Progress{Total: 10_111}})
		at := func(after time.Duration, stage int, published int64, phase string) {
			time.Sleep(after)
			talk.tell(replay.Report{Phase: phase, Rest: stage == 3, Progress: replay.Progress{Stage: stage, Published: published}})
		}
		at(cli.LineEvery, 0, 1, replay.PhasePublishing)
		at(30*time.Second, 1, 11, replay.PhasePublishing)
		at(30*time.Second, 2, 111, replay.PhaseSettling)
		at(time.Second, 3, 611, replay.PhasePublishing) // too soon to be said, and the beginning
		at(4*time.Second, 3, 2_611, replay.PhasePublishing)
		at(cli.LineEvery, 3, 3_611, replay.PhaseSettling)
		talk.end()
		want := "producer: replay r-1: published 1 of 10111; stage 1: publishing\n" +
			"producer: replay r-1: published 11 of 10111; stage 2: publishing\n" +
			"producer: replay r-1: published 111 of 10111; stage 3: waiting for the consumer to settle\n" +
			"producer: replay r-1: published 2611 of 10111, 500/s, about 15s left; stage 4: publishing\n" +
			"producer: replay r-1: published 3611 of 10111; stage 4: waiting for the consumer to settle\n"
		if got := out.String(); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
}
