package publish

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/cli"
)

// lineCleared is what takes a bar away.
const lineCleared = "\033[2K\r"

func TestProgress(t *testing.T) {
	t.Parallel()

	t.Run("is a line now and then where there is no terminal", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			counts := newTally(&cli.Session{Name: "producer", Stderr: cli.NewTalker(&out)})
			done := counts.showProgress(progressTotal{})
			time.Sleep(cli.LineEvery - time.Millisecond)
			counts.published.Add(300)
			time.Sleep(cli.LineEvery)
			counts.published.Add(100)
			counts.invalid.Add(1)
			time.Sleep(cli.LineEvery)
			done()
			done()
			if got, want := out.String(), "published 300, 150/s\npublished 400, failed 1, 100/s\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	})

	t.Run("is a bar on a terminal, which gives way to what is said and leaves nothing behind", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			talk := cli.NewTalker(&out)
			talk.Terminal = true
			s := &cli.Session{Name: "producer", Stderr: talk}
			counts := newTally(s)
			done := counts.showProgress(progressTotal{events: 1000})
			counts.published.Add(250)
			time.Sleep(time.Second + time.Millisecond)
			s.Say("line 7: bad")
			time.Sleep(time.Second)
			done()
			got := out.String()
			if !strings.Contains(got, "25%") || !strings.Contains(got, "published 250") {
				t.Errorf("no bar of a quarter in %q", got)
			}
			if !strings.Contains(got, lineCleared+"line 7: bad\n") {
				t.Errorf("the line stands in the bar: %q", got)
			}
			if !strings.HasSuffix(got, lineCleared) {
				t.Errorf("the bar is left behind: %q", got)
			}
			if strings.Contains(got, "\033[3") {
				t.Errorf("coloured: %q", got)
			}
		})
	})
}

func TestRate(t *testing.T) {
	t.Parallel()
	events := func(n int) func(func(parcel) bool) {
		return func(yield func(parcel) bool) {
			for range n {
				if !yield(parcel{}) {
					return
				}
			}
		}
	}
	t.Run("is kept", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			if n := len(slices.Collect(limited(t.Context(), events(500), 50))); n != 500 {
				t.Errorf("%d events", n)
			}
			// The first five come at once.
			if took := time.Since(began); took < 9*time.Second || took > 10*time.Second {
				t.Errorf("500 events at 50 a second took %s", took)
			}
		})
	})
	t.Run("does not keep anybody who is told to stop", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			n := len(slices.Collect(limited(ctx, events(500), 0.5)))
			if n < 4 || n > 6 {
				t.Errorf("%d events in ten seconds", n)
			}
		})
	})
}
