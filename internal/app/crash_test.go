package app

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"orderconsumer/internal/faultproxy"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/proof"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/testkit"
	"orderconsumer/internal/workload"
)

// childVariable makes this test program the consumer, so that tests can kill
// it: the same program, but able to open the embedded database too.
const childVariable = "ORDER_TEST_CONSUMER"

// producerChild, as its value, makes it the producer instead.
const producerChild = "producer"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "1":
		p := ConsumerProgram{OpenLedger: testkit.OpenLedger}
		os.Exit(p.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	case producerChild:
		p := ProducerProgram{OpenLedger: testkit.OpenLedger}
		os.Exit(p.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// process is a consumer in a process of its own.
type process struct {
	cmd  *exec.Cmd
	done chan error
}

// spawn starts a consumer with the shop's settings.
func (s *shop) spawn(flags ...string) *process {
	s.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	g := s.settings
	args := append([]string{
		"run", "--http=", "--log-level=error",
		"--kafka-brokers=" + strings.Join(g.Kafka.Brokers, ","),
		"--redis-url=" + strings.Join(g.Redis.URLs, ","),
		"--database-url=" + g.Database.URL,
		"--group=" + g.Group.Group, "--topic=" + g.Group.Topic,
		"--retry-after=" + g.Group.RetryAfter[0].String() + "," + g.Group.RetryAfter[1].String(),
		"--lock-prefix=" + g.Lock.Prefix, "--cache-prefix=" + g.Cache.Prefix, "--session-timeout=" + g.Member.SessionTimeout.String(),
		"--drain-timeout=" + g.Member.DrainTimeout.String(),
	}, flags...)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stdout, cmd.Stderr = io.Discard, s.t.Output()
	err = cmd.Start()
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{cmd: cmd, done: make(chan error, 1)}
	go func() { p.done <- cmd.Wait() }()
	s.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return p
}

// signal sends one and waits until the process has ended.
func (p *process) signal(t *testing.T, sig syscall.Signal) error {
	t.Helper()
	err := p.cmd.Process.Signal(sig)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case err = <-p.done:
		return err
	case <-time.After(testTimeout):
		t.Fatalf("process %d did not end after %s", p.cmd.Process.Pid, sig)
		return nil
	}
}

// awaitMembers returns when the group has n members and is at rest, so that
// all of them have a share of the work.
func (s *shop) awaitMembers(n int) {
	s.t.Helper()
	s.awaitGroup(fmt.Sprintf("%d members", n), func(g kafka.Group) bool { return len(g.Members) == n })
}

// awaitMember returns when the process is a member of the group: from then on it
// has heard of signals.
func (s *shop) awaitMember(p *process) {
	s.t.Helper()
	id := fmt.Sprintf("/%d", p.cmd.Process.Pid)
	s.awaitGroup("having "+id, func(g kafka.Group) bool {
		return slices.ContainsFunc(g.Members, func(m kafka.Member) bool { return strings.HasSuffix(m.ClientID, id) })
	})
}

// awaitGroup returns when the group is stable and as wanted.
func (s *shop) awaitGroup(what string, wanted func(kafka.Group) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), testTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		group, err := s.client.DescribeGroup(ctx, s.settings.Group.Group)
		if err == nil && group.State == "Stable" && wanted(group) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("the group does not come to %s: %+v, %v", what, group, err)
		}
	}
}

// crashOrders is how many orders a crash test plays: enough that each act of
// it falls into the middle of the work.
func crashOrders() int {
	switch {
	case testing.Short():
		return 2000
	case testkit.Real():
		return 50_000
	default:
		return 8000
	}
}

// TestNothingIsLostWhenInstancesDie plays a shop's day over three instances.
// One is killed, one is told to stop, and the third has to end the work.
func TestNothingIsLostWhenInstancesDie(t *testing.T) {
	variants := []struct {
		name  string
		flags []string
		// redis is done to the way to Redis when a third of the work is done.
		redis func(*faultproxy.Proxy)
	}{
		{name: "as it is shipped"},
		{name: "without a lock", flags: []string{"--lock=off"}},
		{name: "Redis goes away half-way", redis: (*faultproxy.Proxy).Refuse},
		{name: "Redis goes silent half-way", redis: (*faultproxy.Proxy).Cut},
		{name: "the lock expires before the transaction ends", flags: []string{"--lock-expiry=10ms"}},
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			if !testkit.Real() {
				t.Parallel() // they mostly wait for a session to time out
			}
			s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions = 6 })
			redis := s.redisBehindProxies()
			day := s.newDay(crashOrders())
			doomed, stopped, last := s.spawn(v.flags...), s.spawn(v.flags...), s.spawn(v.flags...)
			s.awaitMembers(3)
			day.publish(day.events)
			day.awaitLeft(day.events * 4 / 5)
			_ = doomed.signal(t, syscall.SIGKILL)
			if v.redis != nil {
				for _, proxy := range redis {
					v.redis(proxy)
				}
			}
			day.awaitLeft(day.events / 3)
			err := stopped.signal(t, syscall.SIGTERM)
			if err != nil {
				t.Errorf("the instance that was told to stop: %v", err)
			}
			day.awaitLeft(0)
			err = last.signal(t, syscall.SIGTERM)
			if err != nil {
				t.Errorf("the last instance: %v", err)
			}
			day.examine()
		})
	}
}

// redisBehindProxies puts a proxy before every Redis.
func (s *shop) redisBehindProxies() []*faultproxy.Proxy {
	s.t.Helper()
	var proxies []*faultproxy.Proxy
	urls := slices.Clone(s.settings.Redis.URLs)
	for i, target := range urls {
		u, err := url.Parse(target)
		if err != nil {
			s.t.Fatal(err)
		}
		proxy, err := faultproxy.Start(faultproxy.Config{Target: u.Host})
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(proxy.Close)
		u.Host = proxy.Addr()
		urls[i] = u.String()
		proxies = append(proxies, proxy)
	}
	s.settings.Redis.URLs = urls
	return proxies
}

// day is a made-up day of a shop: orders, a stock that covers part of them,
// and the truth about both.
type day struct {
	shop      *shop
	load      *workload.Workload
	next      func() (workload.Item, bool)
	delivered map[string]int64
	events    int
	sent      int
}

func (s *shop) newDay(orders int) *day {
	s.t.Helper()
	load, err := workload.New(workload.Config{
		Orders: orders, Goods: 1000, Skew: 1.1, Seed: uint64(time.Now().UnixNano()),
		DuplicateShare: 0.02, BrokenShare: 0.01, CancelShare: 0.05,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("workload %+v", load.Config())
	d := &day{shop: s, load: load, delivered: make(map[string]int64)}
	expect := load.Expect()
	d.events = expect.Events()
	lines := expect.Stock(0.6)
	for _, line := range lines {
		d.delivered[line.Goods] = line.Num
	}
	_, err = s.ledger.Import(s.t.Context(), ledger.Import{Mode: stock.Add, Lines: lines})
	if err != nil {
		s.t.Fatal(err)
	}
	items := make(chan workload.Item)
	ctx, stop := context.WithCancel(context.Background())
	s.t.Cleanup(stop)
	go func() {
		defer close(items)
		for item := range load.Events() {
			select {
			case items <- item:
			case <-ctx.Done():
				return
			}
		}
	}()
	d.next = func() (workload.Item, bool) { item, ok := <-items; return item, ok }
	return d
}

// publish sends events until n of them are in the log.
func (d *day) publish(n int) {
	d.shop.t.Helper()
	const batch = 2000
	for d.sent < n {
		var messages []order.Message
		for len(messages) < min(batch, n-d.sent) {
			item, ok := d.next()
			if !ok {
				d.shop.t.Fatalf("workload ended after %d of %d events", d.sent, n)
			}
			messages = append(messages, order.Message{Topic: d.shop.topics.Input, Key: item.Key, Value: item.Value})
		}
		d.shop.sendMessages(messages...)
		d.sent += len(messages)
	}
}

// awaitLeft returns when no more than n events are left to be settled.
func (d *day) awaitLeft(n int) {
	d.shop.t.Helper()
	ctx, cancel := context.WithTimeout(d.shop.t.Context(), 3*testTimeout)
	defer cancel()
	var tiers []string
	for _, tier := range d.shop.topics.Tiers {
		tiers = append(tiers, tier.Topic)
	}
	reached, stop := context.WithCancel(ctx)
	defer stop()
	err := d.shop.client.WaitSettled(reached, d.shop.settings.Group.Group, d.shop.topics.Input, tiers, func(_ string, left int64) {
		if left <= int64(n) {
			stop()
		}
	})
	if err != nil && (n == 0 || ctx.Err() != nil) {
		d.shop.t.Fatalf("waiting for at most %d events left: %v", n, err)
	}
}

// examine holds everything that was published against everything there is.
func (d *day) examine() {
	s := d.shop
	s.t.Helper()
	report, err := proof.Examine(s.t.Context(), proof.Case{
		Client: s.client, Ledger: s.ledger, Group: s.settings.Group.Group, Topics: s.topics,
		Delivered: d.delivered,
		Loads:     []proof.Load{{Workload: d.load, Sent: d.sent}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("%d events: %v, %d dead, %d duplicates, %d retried", report.Published, report.States,
		report.Dead, report.Duplicates, report.Retried)
	if !report.Clean() || report.Unsettled != 0 || report.Published != int64(d.sent) {
		s.t.Errorf("%d lost, %d oversold, %d unsettled, %d wrong:\n%s", report.Lost, report.Oversold,
			report.Unsettled, report.Wrong, fmt.Sprint(strings.Join(report.Findings, "\n")))
	}
}
