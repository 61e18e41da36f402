package kafka

import (
	"context"
	"net"
	"strconv"
	"sync"
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

// TestATurnIsKeptUntilSomebodyHasWaited, and given to whoever has waited longest.
func TestATurnIsKeptUntilSomebodyHasWaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := newTurns(1, 3)
		first := &turn{turns: all}
		must(t, first.begin(t.Context()))
		time.Sleep(2 * turnPatience)
		if first.over(true) || first.wait() != fetchWait {
			t.Error("the place is not kept though nobody waits for it")
		}
		if !first.lasts(0) || first.lasts(1) {
			t.Error("who comes would have to wait for the time of a message")
		}
		begin := func(its *turn) (begun chan error) {
			begun = make(chan error, 1)
			go func() { begun <- its.begin(t.Context()) }()
			synctest.Wait()
			return begun
		}
		second, third := &turn{turns: all}, &turn{turns: all}
		secondBegun := begin(second)
		time.Sleep(turnPatience - time.Nanosecond)
		thirdBegun := begin(third)
		if first.over(true) || first.wait() != all.wait {
			t.Error("the place is given up before somebody has waited for long enough")
		}
		time.Sleep(time.Nanosecond)
		if !first.over(true) || !first.over(false) {
			t.Error("the place is kept though somebody has waited")
		}
		rested := make(chan error, 1)
		go func() { rested <- first.rest(t.Context(), 0) }()
		must(t, <-secondBegun)
		if second.over(true) || !second.lasts(turnLength-1) || second.lasts(turnLength) {
			t.Error("a turn ends with its beginning")
		}
		second.end()
		must(t, <-thirdBegun)
		third.end()
		third.end()
		must(t, <-rested)
		first.end()
		if all.free != 1 || all.crowded() {
			t.Errorf("%d places are free, want 1", all.free)
		}
	})
}

// TestWhoDoesNotWaitAnyMoreGetsNoPlace, and nobody else loses one.
func TestWhoDoesNotWaitAnyMoreGetsNoPlace(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		claimed, atOnce := n%2 == 0, n > 1 // at once, it has come or not as the scheduler will
		synctest.Test(t, func(t *testing.T) {
			all := newTurns(1, 3)
			holder, leaver, stayer := &turn{turns: all}, &turn{turns: all}, &turn{turns: all}
			must(t, holder.begin(t.Context()))
			ctx, leave := context.WithCancel(t.Context())
			left, stayed := make(chan error, 1), make(chan error, 1)
			go func() { left <- leaver.begin(ctx) }()
			synctest.Wait()
			go func() { stayed <- stayer.begin(t.Context()) }()
			time.Sleep(turnPatience)
			if claimed && !holder.over(true) {
				t.Fatal("the place is kept though somebody has waited")
			}
			leave()
			if atOnce {
				holder.end()
			}
			if err := <-left; err == nil {
				t.Fatal("it goes on though it was told to stop")
			}
			leaver.end()
			holder.end()
			must(t, <-stayed)
			stayer.end()
			if all.free != 1 || all.crowded() {
				t.Errorf("%d places are free, want 1", all.free)
			}
		})
	}
}

// TestPlacesDoNotGoRoundForNothing: where one partition of many has no place, one place in
// turnPatience changes hands, however many could.
func TestPlacesDoNotGoRoundForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const places = 100
		all := newTurns(places, places+1)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		var turns atomic.Int32
		var partitions sync.WaitGroup
		for range places + 1 {
			partitions.Go(func() {
				its := &turn{turns: all}
				defer its.end()
				for err := its.begin(ctx); err == nil; err = its.rest(ctx, 0) {
					turns.Add(1)
					for ctx.Err() == nil && !its.over(true) {
						_ = sleep(ctx, its.wait())
					}
				}
			})
		}
		partitions.Wait()
		if n := turns.Load() - places; n < int32(time.Minute/turnPatience)/2 || n > int32(time.Minute/turnPatience) {
			t.Errorf("%d places have changed hands in a minute", n)
		}
		if all.free != places {
			t.Errorf("%d places are free, want %d", all.free, places)
		}
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
		if all.bounded != (c.wait > 0) || c.wait > 0 && all.wait != c.wait {
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
