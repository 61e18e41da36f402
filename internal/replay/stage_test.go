package replay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/order"
)

// heldLog is a log whose group has come to where positions says.
type heldLog struct {
	logInMemory
	positions func() []Position
	scanned   *[]Range
}

// Positions implements Log.
func (l heldLog) Positions(context.Context, []string) ([]Position, error) { return l.positions(), nil }

// Scan implements Reader: what is before the log's start is an error.
func (l heldLog) Scan(ctx context.Context, r Range, visit func(order.Message) error) error {
	*l.scanned = append(*l.scanned, r)
	for _, p := range l.positions() {
		if p.Partition == r.Partition && r.From < p.First {
			return errors.New("removed")
		}
	}
	return l.logInMemory.Scan(ctx, r, visit)
}

// A replay that was stopped for longer than the log keeps messages looks at what is
// left of them.
func TestLookBeginsAtTheStartOfTheLog(t *testing.T) {
	t.Parallel()
	l := logInMemory{}
	for range 9 {
		l.add(0, 0, created("A", line("apple", 1)), order.Header{Key: order.HeaderReplayID, Value: []byte("r-1")})
	}
	e := Executor{Topics: order.NewTopics("orders", "g", []time.Duration{time.Second, time.Minute}), Target: "orders.g.retry.1s",
		Store: nobodyElse{}, Patience: time.Minute,
		object: &Object{ID: "r-1", Progress: Progress{Looked: Positions{"orders.g.retry.1m": {0: 2}}}},
		Log: heldLog{l, func() []Position {
			return []Position{{Topic: "orders.g.retry.1m", First: 7, End: 9}}
		}, new([]Range)}}
	if err := e.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := e.object.Progress; p.Retried != 2 || p.Looked["orders.g.retry.1m"][0] != 9 {
		t.Errorf("%d failed again, looked through to %v", p.Retried, p.Looked)
	}
}

// What is published stands behind a message of the tier that is due in five minutes:
// that nothing moves until then does not mean that nobody is at work.
func TestPatienceCountsFromWhenTheNextMessageIsDue(t *testing.T) {
	t.Parallel()
	const delay, patience = 5 * time.Minute, 2 * time.Minute
	for _, tt := range []struct {
		name          string
		settled       bool // once it is due
		otherIsDue    bool // in another partition
		stopsIn, done time.Duration
	}{
		{name: "settled when it is due", settled: true, done: delay},
		{name: "nobody at work", stopsIn: delay + patience},
		{name: "another partition is due and does not move", otherIsDue: true, stopsIn: patience},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				due := order.Header{Key: order.HeaderNotBefore, Value: []byte(start.Add(delay).UTC().Format(order.TimeFormat))}
				l := logInMemory{}
				l.add(0, start.Sub(began), created("waits", line("apple", 1)), due)
				l.add(0, start.Sub(began), created("ours", line("apple", 1)))
				l.add(1, start.Sub(began), created("other", line("apple", 1)))
				scanned := new([]Range)
				e := Executor{Target: "tier", Patience: patience, object: &Object{}, Log: heldLog{l, func() []Position {
					p := []Position{{Topic: "tier", End: 2}, {Topic: "tier", Partition: 1, End: 1, Committed: 1}}
					if tt.otherIsDue {
						p[1].Committed = 0
					}
					if tt.settled && time.Since(start) >= delay {
						p[0].Committed = 2
					}
					return p
				}, scanned}}
				err := e.settled(t.Context(), t.Context())
				took := time.Since(start)
				if want := tt.stopsIn + tt.done; (err != nil) != (tt.stopsIn > 0) || took < want || took > want+time.Second {
					t.Errorf("after %s, want %s: %v", took, want, err)
				}
				if len(*scanned) > 4 {
					t.Errorf("asked %d times when it is due", len(*scanned))
				}
			})
		})
	}
}
