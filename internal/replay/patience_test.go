package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// outage makes every server fail for a while: the first few questions of each kind.
type outage struct {
	mu    sync.Mutex
	times int
	seen  map[string]int
	log   error // of the log; of the database it is that it is away
}

// strike is the error of a question, nil once there have been enough.
func (o *outage) strike(question string, err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = make(map[string]int)
	}
	if o.seen[question]++; o.seen[question] > o.times {
		return nil
	}
	return fmt.Errorf("%s: %w", question, err)
}

// troubledLog is a log of which a group has settled everything.
type troubledLog struct {
	logInMemory
	*outage
	positions []Position
}

// Positions implements Log.
func (l troubledLog) Positions(context.Context, []string) ([]Position, error) {
	if err := l.strike("positions", l.log); err != nil {
		return nil, err
	}
	return l.positions, nil
}

// Scan implements Reader: it fails behind the first message.
func (l troubledLog) Scan(ctx context.Context, r Range, visit func(order.Message) error) error {
	return l.logInMemory.Scan(ctx, r, func(m order.Message) error {
		if err := visit(m); err != nil {
			return err
		}
		return l.strike("scan of "+r.Topic, l.log)
	})
}

// troubledView is a view whose database goes away.
type troubledView struct {
	View
	*outage
}

// Records implements View.
func (v troubledView) Records(ctx context.Context, orders []string) (map[string]stock.Record, error) {
	if err := v.strike("records", stock.ErrUnavailable); err != nil {
		return nil, err
	}
	return v.View.Records(ctx, orders)
}

// Levels implements View.
func (v troubledView) Levels(ctx context.Context, goods []string) (map[string]stock.Level, error) {
	if err := v.strike("levels", stock.ErrBusy); err != nil {
		return nil, err
	}
	return v.View.Levels(ctx, goods)
}

// nobodyElse is a store that nobody else asks.
type nobodyElse struct{ Store }

// Save implements Store.
func (nobodyElse) Save(context.Context, *Object) error { return nil }

// End implements Store.
func (nobodyElse) End(context.Context, *Object) error { return nil }

// printed takes what is published.
type printed struct{ orders []string }

// Publish implements order.Publisher.
func (p *printed) Publish(_ context.Context, batch []order.Message) ([]order.Message, error) {
	for i := range batch {
		p.orders = append(p.orders, string(batch[i].Key))
	}
	return nil, nil
}

// troubled is an executor of three orders and a cancel that is asked about, whose
// servers fail a few times each.
func troubled(t *testing.T, times int) (*Executor, *printed) {
	t.Helper()
	l := logInMemory{}
	for i, id := range []string{"A", "B", "C"} {
		l.add(i%2, time.Duration(i)*time.Second, created(id, line("apple", 1)))
	}
	l.add(0, time.Minute, cancelled("D"))
	away := &outage{times: times, log: errors.New("no leader")}
	log := troubledLog{l, away, []Position{{Topic: "dead", End: 1, Committed: 1}}}
	out := &printed{}
	r := rules()
	r.Folder, r.Waiting = t.TempDir(), NewWaiting(log, []Range{{Topic: "waits", To: 1}}, "", t.TempDir())
	return &Executor{
		Source: NewSource(log, l.ranges()), Rules: r, View: troubledView{stocked(t, map[string]int64{"apple": 5}), away},
		Store: nobodyElse{}, Log: log, Publisher: out, Topics: order.NewTopics(topic, "g", []time.Duration{time.Second}),
		Target: topic + ".g.retry.1s", Staged: true, Patience: time.Minute,
		Audit: func(context.Context) (int64, error) { return 0, away.strike("audit", stock.ErrUnavailable) },
	}, out
}

func TestReplayWaitsForServersThatAreAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, out := troubled(t, 3)
		o := &Object{ID: "r-1"}
		if err := e.Run(t.Context(), t.Context(), o); err != nil || o.State != Done {
			t.Errorf("%s: %v", o.State, err)
		}
		if want := []string{"A", "B", "C", "D"}; !slices.Equal(out.orders, want) {
			t.Errorf("published %v, want %v", out.orders, want)
		}
	})
}

func TestReplayStopsWhenServersStayAwayOrCannotHelp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		hopeless bool
		after    time.Duration
	}{{"away", false, time.Minute}, {"hopeless", true, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, _ := troubled(t, 1<<30)
				e.Hopeless = func(error) bool { return tt.hopeless }
				began := time.Now()
				err := e.Run(t.Context(), t.Context(), &Object{ID: "r-1"})
				_, stopped := errors.AsType[*StoppedError](err)
				if took := time.Since(began); !stopped || took < tt.after || took > tt.after+3*time.Second {
					t.Errorf("after %s: %v", took, err)
				}
			})
		})
	}
}

// Nothing is in flight while a question is repeated: the first word ends it.
func TestReplayThatWaitsForAnAnswerStopsWhenItIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, _ := troubled(t, 1<<30)
		told := errors.New("a signal")
		take, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { stop(told) })
		began, o := time.Now(), &Object{ID: "r-1"}
		err := e.Run(take, t.Context(), o)
		if took := time.Since(began); took > 13*time.Second || !errors.Is(err, told) || o.State != Stopped || o.Note != "interrupted" {
			t.Errorf("after %s %s (%s): %v", took, o.State, o.Note, err)
		}
	})
}
