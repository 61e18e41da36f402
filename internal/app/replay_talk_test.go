package app

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/stock"
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

// TestAuditsAndReadingsOfAReplayAreNotSilent: what takes longer than two seconds says
// how far it is.
func TestAuditsAndReadingsOfAReplayAreNotSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &cli.Session{Name: "producer", Stderr: cli.NewTalker(&out)}
		talk := newReplayTalk(s, &replay.Object{ID: "r-1"})
		for n := range int64(5) {
			time.Sleep(time.Second)
			talk.audit(stock.Summary{Orders: n + 1, Movements: 2 * n, Goods: 3})
		}
		read := countedReader{slowLog{}, newReadCounter(s, "dead letters read", 3000)}
		if err := read.Scan(t.Context(), replay.Range{To: 3000}, func(order.Message) error { return nil }); err != nil {
			t.Error(err)
		}
		want := "producer: replay r-1: auditing the database: 2 orders, 2 movements, 3 goods so far\n" +
			"producer: replay r-1: auditing the database: 4 orders, 6 movements, 3 goods so far\n" +
			"2000 of 3000 dead letters read\n"
		if got := out.String(); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
}

// slowLog is a log of which a message comes each millisecond.
type slowLog struct{}

// Scan implements replay.Reader.
func (slowLog) Scan(_ context.Context, r replay.Range, visit func(order.Message) error) error {
	for range r.Messages() {
		time.Sleep(time.Millisecond)
		if err := visit(order.Message{}); err != nil {
			return err
		}
	}
	return nil
}
