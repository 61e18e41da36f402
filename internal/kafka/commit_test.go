package kafka

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/testkit"
)

// member is one consumer of a group, its observer, and a ledger that decides
// nothing until it is told to.
type member struct {
	ticks     chan struct{} // one for each round of commits with something in flight
	assigned  chan int      // partitions of each generation
	committed chan struct{} // one for each commit that was confirmed
	reached   chan struct{} // one for each transaction
	free      chan struct{} // closed: the ledger decides
	stop      func()
	ran       chan error
}

func tell[T any](to chan T, what T) {
	select {
	case to <- what:
	default: // nobody listens any more
	}
}

func (m *member) Apply(ctx context.Context, requests []stock.Request) ([]stock.Decision, error) {
	tell(m.reached, struct{}{})
	select {
	case <-m.free:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	decisions := make([]stock.Decision, len(requests))
	for i, r := range requests {
		decisions[i] = stock.Decision{Verdict: stock.Applied, Record: stock.Record{Order: r.Order, State: stock.Deducted, Lines: r.Lines}}
	}
	return decisions, nil
}

func (*member) Publish(context.Context, []order.Message) ([]order.Message, error) { return nil, nil }

func (*member) Settled(order.Settlement)            {}
func (*member) Applied(int, time.Duration)          {}
func (*member) Retried(string)                      {}
func (*member) LockWaited(time.Duration)            {}
func (*member) LockHeld(time.Duration)              {}
func (*member) LockFailed(string)                   {}
func (*member) InFlight(int)                        {}
func (*member) Busy(int)                            {}
func (*member) Paused(string, error)                {}
func (*member) Sent(string, int, error)             {}
func (*member) Consumed(string, int, int)           {}
func (*member) Rebalanced()                         {}
func (*member) CommitFailed()                       {}
func (*member) LostToRetention(int64)               {}
func (*member) Joined(bool)                         {}
func (*member) Unsettled(string, int, time.Time)    {}
func (m *member) Assigned(_ string, partitions int) { tell(m.assigned, partitions) }
func (m *member) OldestInFlight(since time.Time) {
	if !since.IsZero() {
		tell(m.ticks, struct{}{})
	}
}

// commitGroup is a topic and those who read it.
type commitGroup struct {
	t           *testing.T
	servers     *testkit.Servers
	client      *Client
	name, topic string
	log         io.Writer // what members write; nil: the test's output
}

func newCommitGroup(t *testing.T, partitions int) *commitGroup {
	t.Helper()
	return newCommitGroupOn(t, testkit.Start(t), partitions)
}

func newCommitGroupOn(t *testing.T, servers *testkit.Servers, partitions int) *commitGroup {
	t.Helper()
	client := Connect(Config{Brokers: servers.Brokers, ClientID: "commit-test"})
	t.Cleanup(client.Close)
	g := &commitGroup{t: t, servers: servers, client: client, name: testkit.Unique("group"), topic: testkit.Unique("committed")}
	if _, err := client.EnsureTopics(t.Context(), []TopicSpec{{Name: g.topic, Partitions: partitions, Replication: 1}}); err != nil {
		t.Fatal(err)
	}
	return g
}

// send publishes one order for each key.
func (g *commitGroup) send(keys ...string) { g.sendDue(nil, keys...) }

// sendDue is send with headers.
func (g *commitGroup) sendDue(headers []order.Header, keys ...string) {
	g.t.Helper()
	publisher := g.client.NewPublisher(nil)
	defer publisher.Close()
	var messages []order.Message
	for _, key := range keys {
		messages = append(messages, order.Message{Topic: g.topic, Key: []byte(key), Headers: headers,
			Value: []byte(`{"type":"order.created","order_id":"` + key + `","items":[{"goods_id":"` + key + `","num":1}]}`)})
	}
	if _, err := publisher.Publish(g.t.Context(), messages); err != nil {
		g.t.Fatal(err)
	}
}

// join starts a member.
func (g *commitGroup) join(change ...func(*ConsumerConfig)) *member {
	g.t.Helper()
	const many = 100
	m := &member{ticks: make(chan struct{}, many), assigned: make(chan int, many), committed: make(chan struct{}, many),
		reached: make(chan struct{}, many), free: make(chan struct{}), ran: make(chan error, 1)}
	flow := func() *order.Flow {
		return order.NewFlow(order.FlowConfig{
			Topics: order.NewTopics(g.topic, g.name, nil), Group: g.name, Workers: 2,
			Scheduler:  order.SchedulerConfig{MaxBatch: 1, MaxBatchLines: 10, LookAhead: many, MaxWaiting: many, MaxWaitingBytes: 1 << 20, ClaimAfter: time.Second},
			LockBudget: time.Second, TransactionTimeout: time.Minute,
		}, order.FlowDeps{Ledger: m, Publisher: m, Observer: m, Now: time.Now})
	}
	cfg := ConsumerConfig{
		Group: g.name, Topics: []string{g.topic}, Ensure: func(context.Context) error { return nil },
		SessionTimeout: 6 * time.Second, RebalanceTimeout: 8 * time.Second, DrainTimeout: 3 * time.Second,
		CommitEvery: 10 * time.Millisecond, Window: many,
		Crash: func(p crash.Point) {
			if p == crash.AfterOffsetCommit {
				tell(m.committed, struct{}{})
			}
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	log := g.log
	if log == nil {
		log = g.t.Output()
	}
	c := g.client.NewConsumer(cfg, flow, m, slog.New(slog.NewTextHandler(log, nil)))
	take, stop := context.WithCancel(g.t.Context())
	work, abandon := context.WithCancel(context.WithoutCancel(take))
	go func() { m.ran <- c.Run(take, work) }()
	m.stop = sync.OnceFunc(func() {
		stop()
		if err := <-m.ran; err != nil {
			g.t.Error(err)
		}
		abandon()
	})
	g.t.Cleanup(func() {
		abandon()
		m.stop()
	})
	return m
}

// wait waits for a signal, and no longer than a test may take.
func wait[T any](t *testing.T, what string, signal <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-signal:
	case <-time.After(describeTimeout):
		t.Fatalf("waited %s for %s", describeTimeout, what)
	}
	return got
}

// committed is the sum of the committed offsets; a partition without one counts nothing.
func (g *commitGroup) committed() (sum int64) {
	g.t.Helper()
	positions, err := g.client.Positions(g.t.Context(), g.name, []string{g.topic})
	if err != nil {
		g.t.Fatal(err)
	}
	for _, p := range positions {
		sum += max(0, p.Committed)
	}
	return sum
}

// members is what the coordinator says about the group.
func (g *commitGroup) members() Group {
	g.t.Helper()
	group, err := g.client.DescribeGroup(g.t.Context(), g.name)
	if err != nil {
		g.t.Fatal(err)
	}
	return group
}

func TestWhatIsReadAndNotSettledIsNotCommitted(t *testing.T) {
	t.Parallel()
	g := newCommitGroup(t, 1)
	g.send("a", "b", "c") // before there is a group: it reads from the start
	m := g.join()
	wait(t, "the first transaction", m.reached)
	wait(t, "the second transaction", m.reached)
	for range 3 { // rounds of commits that began while both were under way
		wait(t, "a round of commits", m.ticks)
	}
	if n := g.committed(); n != 0 {
		t.Errorf("%d messages are committed while none is settled", n)
	}
	close(m.free)
	wait(t, "a commit", m.committed)
	m.stop()
	if n := g.committed(); n != 3 {
		t.Errorf("%d messages are committed after a clean stop, want all 3", n)
	}
}

func TestCommitsGoOnWhenPartitionsHaveMoved(t *testing.T) {
	t.Parallel()
	g := newCommitGroup(t, 2)
	first := g.join()
	close(first.free)
	for wait(t, "both partitions", first.assigned) != 2 {
	}
	g.send("a", "b", "c", "d")
	wait(t, "a commit", first.committed)
	second := g.join()
	close(second.free)
	for wait(t, "one partition", first.assigned) != 1 {
	}
	for wait(t, "the other partition", second.assigned) != 1 {
	}
	// The commits of the generation before came before this one's assignment.
	for len(first.committed) > 0 {
		<-first.committed
	}
	g.send("a", "b", "c", "d", "e", "f", "g", "h") // some to each partition
	wait(t, "a commit of the member that stayed", first.committed)
	wait(t, "a commit of the member that came", second.committed)
}

func TestAMemberStopsAtWhatRetentionTook(t *testing.T) {
	t.Parallel()
	g := newCommitGroup(t, 1)
	g.send("a", "b", "c")
	if err := g.client.SetOffsets(t.Context(), g.name, map[string]map[int]int64{g.topic: {0: 1}}); err != nil {
		t.Fatal(err)
	}
	g.servers.DeleteRecords(t, g.topic, 0, 2)
	m := g.join()
	err := wait(t, "its end", m.ran)
	if !errors.Is(err, ErrDataLoss) || !strings.Contains(err.Error(), "offsets 1 to 1 (1 messages)") {
		t.Errorf("it ended with %v", err)
	}
	m.ran <- nil // for the end of the test, which waits once more
}

func TestARetryWaitsUntilItIsDue(t *testing.T) {
	t.Parallel()
	const delay = time.Second
	g := newCommitGroup(t, 1)
	due := time.Now().Add(delay).Truncate(time.Millisecond)
	g.sendDue([]order.Header{{Key: order.HeaderNotBefore, Value: due.UTC().AppendFormat(nil, order.TimeFormat)}}, "a")
	m := g.join(func(c *ConsumerConfig) { c.Delays = map[string]time.Duration{g.topic: delay} })
	close(m.free)
	wait(t, "a transaction", m.reached)
	if early := time.Until(due); early > 0 {
		t.Errorf("it was worked on %s before it was due", early)
	}
}

// TestAStopWhileJoiningLeavesNoMemberBehind: the join takes as long as the other
// member needs to give its partitions up, and longer than a stop does otherwise.
func TestAStopWhileJoiningLeavesNoMemberBehind(t *testing.T) {
	t.Parallel()
	g := newCommitGroup(t, 2)
	g.send("a", "b")
	first := g.join()
	wait(t, "the partitions", first.assigned)
	wait(t, "a transaction", first.reached) // and it does not come to its end: drained after DrainTimeout
	second := g.join()
	for g.members().State != "PreparingRebalance" {
		wait(t, "the first member to be at work", first.ticks)
	}
	second.stop()
	close(first.free)
	if n := len(g.members().Members); n > 1 {
		t.Errorf("%d members are in the group after one of two has left", n)
	}
}
