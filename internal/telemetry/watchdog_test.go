package telemetry

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const stuckAfter = time.Minute

func newWatched() *Health { return NewHealth(HealthConfig{StuckAfter: stuckAfter}) }

func TestALoopThatStopsTurningIsNotAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newWatched()
		turning, stuck := h.Loop("orders/0"), h.Loop("orders/1")
		<-time.After(stuckAfter)
		turning.Beat()
		if err := h.Live().Err(); err != nil {
			t.Errorf("at the limit: %v", err)
		}
		<-time.After(3 * time.Second)
		turning.Beat()
		want := []string{`[-]poll: loop "orders/1" has not turned for 1m3s (for 3s)`, "[+]progress ok"}
		if diff := cmp.Diff(want, lines(h.Live())); diff != "" {
			t.Errorf("beyond the limit (-want +got):\n%s", diff)
		}
		stuck.Done()
		if err := h.Live().Err(); err != nil {
			t.Errorf("after the loop has ended: %v", err)
		}
	})
}

func TestAMessageThatIsNeverSettledIsNotAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newWatched()
		oldest := time.Now()
		h.WatchProgress(func() time.Time { return oldest })
		<-time.After(stuckAfter + time.Second)
		want := []string{"[+]poll ok", "[-]progress: a message has not been settled for 1m1s (for 1s)"}
		if diff := cmp.Diff(want, lines(h.Live())); diff != "" {
			t.Errorf("report (-want +got):\n%s", diff)
		}
		oldest = time.Time{} // settled, nothing else is here
		if err := h.Live().Err(); err != nil {
			t.Errorf("after it was settled: %v", err)
		}
	})
}

func TestTimeInAPauseDoesNotCountAsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newWatched()
		h.Loop("orders/0")
		oldest := time.Now()
		h.WatchProgress(func() time.Time { return oldest })
		h.Paused(DependencyDatabase, errors.New("gone"))
		<-time.After(10 * stuckAfter)
		if err := h.Live().Err(); err != nil {
			t.Errorf("in the pause: %v", err)
		}
		h.Paused(DependencyDatabase, nil)
		<-time.After(stuckAfter)
		if err := h.Live().Err(); err != nil {
			t.Errorf("at the limit after the pause: %v", err)
		}
		<-time.After(time.Second)
		if h.Live().OK() {
			t.Error("alive although nothing moved after the pause")
		}
	})
}

func TestLiveLooksAtNoDependency(t *testing.T) {
	t.Parallel()
	h := NewHealth(HealthConfig{Required: []string{DependencyDatabase}})
	h.Checked(DependencyDatabase, errors.New("gone"))
	h.Drain()
	if err := h.Live().Err(); err != nil {
		t.Errorf("not alive: %v", err)
	}
}

// TestLiveMayBeAskedWhileTheWatchedLockIsHeld is about this interleaving: the
// owner of the messages holds its lock and tells Health of a pause, while Live
// asks for the oldest message, which needs that lock. If Live held its own lock
// meanwhile, both would wait for ever.
func TestLiveMayBeAskedWhileTheWatchedLockIsHeld(t *testing.T) {
	t.Parallel()
	h := newWatched()
	asked := make(chan struct{})
	answer := make(chan struct{})
	h.WatchProgress(func() time.Time {
		close(asked)
		<-answer
		return time.Time{}
	})
	var wg sync.WaitGroup
	wg.Go(func() { h.Live() })
	<-asked
	h.Paused(DependencyDatabase, nil)
	close(answer)
	wg.Wait()
}

func TestPollingNotesWhatEachDependencyAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(HealthConfig{Required: []string{DependencyDatabase, DependencyRedis}})
		h.Joined(true)
		asked := 0 // written by the poller, read after it has ended
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			h.Poll(ctx, PollConfig{Checks: []Check{
				{DependencyDatabase, func(context.Context) error {
					if asked++; asked > 1 {
						return errors.New("too many connections")
					}
					return nil
				}},
				{DependencyRedis, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			}})
		})
		synctest.Wait()
		if got := lines(h.Ready())[:2]; got[0] != "[+]database ok" || !strings.Contains(got[1], "not checked yet") {
			t.Errorf("at once: %q", got)
		}
		<-time.After(defaultCheckEvery + time.Second)
		if got := lines(h.Ready())[:2]; got[0] != "[-]database: too many connections (for 1s)" ||
			!strings.HasPrefix(got[1], "[-]redis: no answer within 2s") {
			t.Errorf("after one interval: %q", got)
		}
		before := lines(h.Ready())[1]
		stop()
		wg.Wait()
		if after := lines(h.Ready())[1]; after != before {
			t.Errorf("the end of polling was noted as a result: %q, was %q", after, before)
		}
		if asked != 2 {
			t.Errorf("the database was asked %d times, want 2", asked)
		}
	})
}

func TestHealthMayBeUsedFromManyGoroutines(t *testing.T) {
	t.Parallel()
	h := newReady()
	h.WatchProgress(time.Now)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			l := h.Loop("orders/0")
			defer l.Done()
			for i := range 200 {
				l.Beat()
				h.Checked(DependencyRedis, nil)
				h.Paused(DependencyKafka, errors.New("gone"))
				h.Paused(DependencyKafka, nil)
				h.Joined(i%2 == 0)
				h.Joined(true)
				_, _ = h.Ready(), h.Live()
			}
		})
	}
	wg.Wait()
	if err := errors.Join(h.Ready().Err(), h.Live().Err()); err != nil {
		t.Errorf("in the end: %v", err)
	}
}
