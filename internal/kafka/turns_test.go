package kafka

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/order"
	"orderconsumer/internal/testkit"
)

// openConns counts connections.
type openConns struct{ now, most atomic.Int32 }

// countedConn is one of them.
type countedConn struct {
	net.Conn
	count  *openConns
	closed atomic.Bool
}

func (c *openConns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	now := c.now.Add(1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	return &countedConn{Conn: conn, count: c}, nil
}

func (c *countedConn) Close() error {
	if !c.closed.Swap(true) {
		c.count.now.Add(-1)
	}
	return c.Conn.Close()
}

// crowd is a group with more partitions than places, one of them a tier's.
func newCrowd(t *testing.T, partitions int) (g *commitGroup, tier string, open *openConns) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	g = newCommitGroupOn(t, &testkit.Servers{Brokers: cluster.ListenAddrs()}, partitions)
	tier = g.topic + ".tier"
	if _, err := g.client.EnsureTopics(t.Context(), []TopicSpec{{Name: tier, Partitions: 1, Replication: 1}}); err != nil {
		t.Fatal(err)
	}
	open = new(openConns)
	g.client = Connect(Config{Brokers: cluster.ListenAddrs(), ClientID: "turns-test", Dial: open.dial})
	t.Cleanup(g.client.Close)
	return g, tier, open
}

// sendFar publishes an order to topic whose time has not come for an hour.
func (g *commitGroup) sendFar(topic string) {
	g.t.Helper()
	its := *g
	its.topic = topic
	far := time.Now().Add(time.Hour).UTC().AppendFormat(nil, order.TimeFormat)
	its.sendDue([]order.Header{{Key: order.HeaderNotBefore, Value: far}}, "far")
}

// settled waits until so many offsets of topic are committed.
func (g *commitGroup) settled(m *member, topic string, want int64) {
	g.t.Helper()
	its := *g
	its.topic = topic
	for its.committed() < want {
		wait(g.t, "a commit in "+topic, m.committed)
	}
}

// TestPartitionsAreReadInTurn: every message is read although there is a place for only one
// partition, one of a tier whose time is said to be far away, too, and no more connections
// are open than for the place.
func TestPartitionsAreReadInTurn(t *testing.T) {
	t.Parallel()
	const partitions, keys = 8, 40
	g, tier, open := newCrowd(t, partitions)
	var names []string
	for n := range keys {
		names = append(names, strconv.Itoa(n))
	}
	g.send(names...)
	g.sendFar(tier)
	m := g.join(func(c *ConsumerConfig) {
		c.ReadAtOnce = 1
		c.Topics = append(c.Topics, tier)
		c.Delays = map[string]time.Duration{tier: turnLength + 100*time.Millisecond}
	})
	close(m.free)
	g.settled(m, g.topic, keys)
	g.settled(m, tier, 1)
	const others = 5 // the group's own, who publishes, and who asks here
	if most := open.most.Load(); most > 1+others {
		t.Errorf("%d connections were open", most)
	}
}

// TestNobodyWaitsForTheTimeOfAnothersMessage: the only partition of the input has its turn
// while a tier's waits for a minute, also when it asks for it only then.
func TestNobodyWaitsForTheTimeOfAnothersMessage(t *testing.T) {
	t.Parallel()
	g, tier, _ := newCrowd(t, 1)
	g.sendFar(tier)
	fetched := make(chan struct{}, 1)
	m := g.join(func(c *ConsumerConfig) {
		c.ReadAtOnce = 1
		c.Topics = append(c.Topics, tier)
		c.Delays = map[string]time.Duration{tier: 2 * describeTimeout}
		committed := c.Crash
		c.Crash = func(p crash.Point) {
			if p == crash.AfterFetch {
				tell(fetched, struct{}{})
			}
			committed(p)
		}
	})
	close(m.free)
	wait(t, "the tier's message", fetched)
	for n := range int64(3) {
		g.send(strconv.FormatInt(n, 10))
		g.settled(m, g.topic, n+1)
	}
}

// TestATurnIsKeptUntilSomebodyWaits.
func TestATurnIsKeptUntilSomebodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := newTurns(1, 2)
		first, second := turn{turns: all}, turn{turns: all}
		if err := first.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * turnLength)
		if first.over(true) || first.wait() != fetchWait {
			t.Error("the place is not kept though nobody waits for it")
		}
		if !first.lasts(0) || first.lasts(1) {
			t.Error("who comes would have to wait for the time of a message")
		}
		begun := make(chan error, 1)
		go func() { begun <- second.begin(t.Context()) }()
		synctest.Wait()
		if !first.over(true) || !first.over(false) || first.wait() != fetchWait {
			t.Error("the place is kept though somebody waits for it")
		}
		rested := make(chan error, 1)
		go func() { rested <- first.rest(t.Context(), turnLength) }()
		if err := <-begun; err != nil {
			t.Fatal(err)
		}
		time.Sleep(turnLength / 2)
		if second.over(true) || second.over(false) {
			t.Error("who rests does not wait")
		}
		if !second.lasts(turnLength/4) || second.lasts(turnLength) {
			t.Error("a turn has its length")
		}
		time.Sleep(turnLength * 3 / 4)
		if !second.over(true) || !second.over(false) {
			t.Error("who has rested waits")
		}
		ended, end := context.WithCancel(t.Context())
		third := turn{turns: all}
		end()
		if third.begin(ended) == nil {
			t.Error("it was waited for though it was told to stop")
		}
		third.end()
		second.end()
		second.end()
		if err := <-rested; err != nil {
			t.Fatal(err)
		}
		if len(all.places) != 1 {
			t.Errorf("%d places are taken, want 1", len(all.places))
		}
		first.end()
	})
}

// TestTurnsAreTakenOnlyWhereTheyMust.
func TestTurnsAreTakenOnlyWhereTheyMust(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		places, partitions int
		wait               time.Duration // 0: everybody has a place
	}{{0, 9, 0}, {9, 9, 0}, {10, 9, 0}, {8, 9, fetchWait}, {1, 100, turnWait}, {10, 100, 400 * time.Millisecond}} {
		all := newTurns(c.places, c.partitions)
		if (all.places != nil) != (c.wait > 0) || c.wait > 0 && all.wait != c.wait {
			t.Errorf("%d places for %d partitions: a broker may wait %s", c.places, c.partitions, all.wait)
		}
		if c.wait > 0 {
			continue
		}
		for range c.partitions {
			if its := (turn{turns: all}); its.begin(t.Context()) != nil || its.over(true) || !its.lasts(time.Hour) || its.wait() != fetchWait {
				t.Errorf("%d places for %d partitions, and a turn is no turn without end", c.places, c.partitions)
			}
		}
	}
}
