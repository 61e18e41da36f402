package order

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/stock"
)

// trace notes the effects of a flow in their order. It is the ledger, the log
// and the partition of the flow, each of which takes its time.
type trace struct {
	watcher

	apply   func(stock.Request) (stock.Decision, error)
	mu      sync.Mutex
	effects []string
}

// What effects take. On the fake clock of a test, whoever does not wait for one
// comes before it: a publication lasts longer than a transaction.
const (
	commitTime  = time.Second
	publishTime = 3 * time.Second
)

func (tr *trace) note(effect string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.effects = append(tr.effects, effect)
}

func (tr *trace) Apply(ctx context.Context, requests []stock.Request) ([]stock.Decision, error) {
	if err := pause(ctx, commitTime); err != nil {
		return nil, err
	}
	decisions := make([]stock.Decision, len(requests))
	for i := range requests {
		decision, err := tr.apply(requests[i])
		if err != nil {
			return nil, err
		}
		decisions[i] = decision
	}
	tr.note(fmt.Sprintf("%d committed", len(requests)))
	return decisions, nil
}

func (tr *trace) Publish(ctx context.Context, messages []Message) ([]Message, error) {
	if err := pause(ctx, publishTime); err != nil {
		return messages, err
	}
	for i := range messages {
		tr.note("published to " + messages[i].Topic)
	}
	return nil, nil
}

func (tr *trace) Done(offset int64) { tr.note(fmt.Sprintf("%d done", offset)) }

// effectsOf runs a flow over one value a message, and returns its effects.
func effectsOf(t *testing.T, apply func(stock.Request) (stock.Decision, error), values ...string) (effects []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		tr := &trace{watcher: watcher{paused: make(map[string]error)}, apply: apply}
		f := NewFlow(FlowConfig{
			Topics: NewTopics("in", "g", []time.Duration{time.Minute}), Group: "g", Workers: 2,
			Scheduler: schedulerConfig(), LockBudget: time.Second, TransactionTimeout: time.Minute,
		}, FlowDeps{Ledger: tr, Publisher: tr, Observer: tr, Now: time.Now})
		for offset, value := range values {
			m := Message{Topic: "in", Offset: int64(offset), Time: time.Now(), Value: []byte(value)}
			if err := f.Submit(t.Context(), m, tr); err != nil {
				t.Fatal(err)
			}
		}
		f.sched.close()
		if err := f.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		effects = slices.Clone(tr.effects)
	})
	return effects
}

const (
	createA1 = `{"type":"order.created","order_id":"A-1","items":[{"goods_id":"421","num":2}]}`
	cancelA1 = `{"type":"order.cancelled","order_id":"A-1"}`
)

// TestEffectsHaveOneOrder holds the order that the package's first comment
// promises: a crash between any two of them makes the event come again.
func TestEffectsHaveOneOrder(t *testing.T) {
	t.Parallel()
	decided := func(r stock.Request) (stock.Decision, error) {
		return stock.Decision{Verdict: stock.Applied, Record: stock.Record{Order: r.Order, State: stock.Deducted, Lines: r.Lines}}, nil
	}
	for _, c := range []struct {
		name   string
		apply  func(stock.Request) (stock.Decision, error)
		values []string
		want   []string
	}{
		{"an outcome", decided, []string{createA1},
			[]string{"1 committed", "published to in.results", "0 done"}},
		{"an order's next event waits until the outcome before it is in the log", decided, []string{createA1, cancelA1},
			[]string{"1 committed", "published to in.results", "0 done", "1 committed", "published to in.results", "1 done"}},
		{"a retry", func(stock.Request) (stock.Decision, error) { return stock.Decision{}, ErrGoodsUnknown }, []string{createA1},
			[]string{"published to in.g.retry.1m", "0 done"}},
		{"a dead letter", decided, []string{"no order"},
			[]string{"published to in.g.dlq", "published to in.results", "0 done"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := effectsOf(t, c.apply, c.values...)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
		})
	}
}
