package faultsuite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/drill"
	"orderconsumer/internal/faultproxy"
)

// soakName is that of the one row without a fault.
const soakName = "soak"

// longRows go on for as long as they are told to.
func longRows() []Row {
	return []Row{
		{Number: 6, Name: "kill-many", Long: true, Fault: "kill -9 of one or both of two instances every 1 to 2.5 s, at random or at a random point of the path; session 2 s",
			Expect: "the backlog drains afterwards", play: playKillMany, setting: setting{orders: 1_000_000}},
		{Number: 50, Name: "nemesis", Long: true, Brokers: 1, Fault: "something of all this every 15 s, then quiet", Expect: "all of it holds", play: playNemesis,
			setting: setting{orders: 1_000_000}},
		{Number: 51, Name: soakName, Long: true, Fault: "none", Expect: "flat memory, no goroutine left behind", play: playSoak,
			setting: setting{orders: 2_500_000}},
	}
}

// killSession is short, so that a kill costs its group little time and many fit
// into an hour.
const killSession = 2 * time.Second

func playKillMany(ctx context.Context, a *act) error {
	a.environment = append(a.environment, "SESSION_TIMEOUT="+killSession.String(), "DRAIN_TIMEOUT="+(killSession/2).String())
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	points := make(map[crash.Point]int) // where they died, by plan
	planned := make(map[*drill.Consumer]crash.Point)
	ends := time.Now().Add(a.For)
	for time.Now().Before(ends) {
		if err = a.wait(ctx, time.Second+rand.N(1500*time.Millisecond)); err != nil {
			return err
		}
		if len(a.alive()) == 2 {
			victims := a.alive()
			for _, c := range victims[:1+rand.IntN(2)] {
				a.kill(c)
			}
		}
		for _, c := range a.consumers {
			if !c.Alive() && planned[c] != "" && c.Killed() && !a.counted[c] {
				points[planned[c]]++
			}
			if !c.Alive() {
				a.died(c)
			}
		}
		for len(a.alive()) < 2 {
			point := crash.Points()[rand.IntN(len(crash.Points()))]
			if rand.IntN(2) == 0 {
				_, err = a.start()
			} else {
				plan := crash.Plan{Point: point, Passing: 1 + rand.Int64N(30), Deed: crash.Kill}
				var c *drill.Consumer
				c, err = a.start("CRASH_AT=" + plan.String())
				planned[c] = point
			}
			if err != nil {
				return err
			}
		}
	}
	for _, point := range crash.Points() {
		a.observe("%d at %s", points[point], point)
	}
	return a.onlyKilled()
}

// onlyKilled fails when a consumer ended in another way than by SIGKILL.
func (a *act) onlyKilled() error {
	for _, c := range a.consumers {
		if !c.Alive() && !c.Killed() {
			return fmt.Errorf("consumer %d ended by itself: %w", c.Pid(), c.Stop())
		}
	}
	return nil
}

// mischief is one thing that a nemesis does; it has undone it when it returns.
type mischief struct {
	name string
	do   func(ctx context.Context, a *act) error
}

func mischiefs(kafka, redis, database []*faultproxy.Proxy) []mischief {
	replace := func(a *act) error { _, err := a.start(); return err }
	server := func(name string, away time.Duration) func(context.Context, *act) error {
		return func(ctx context.Context, a *act) error {
			err := errors.Join(a.Servers.Kill(name), a.wait(ctx, away))
			return errors.Join(err, a.Servers.Up(ctx, name))
		}
	}
	hold := func(name string, d time.Duration) func(context.Context, *act) error {
		return func(ctx context.Context, a *act) error {
			return errors.Join(a.Servers.Freeze(name), a.wait(ctx, d), a.Servers.Thaw(name))
		}
	}
	network := func(proxies []*faultproxy.Proxy, do func(*faultproxy.Proxy), d time.Duration) func(context.Context, *act) error {
		return func(ctx context.Context, a *act) error {
			for _, p := range proxies {
				do(p)
			}
			err := a.wait(ctx, d)
			for _, p := range proxies {
				p.SetDelay(0)
				p.Mend()
			}
			return err
		}
	}
	slow := func(p *faultproxy.Proxy) { p.SetDelay(200 * time.Millisecond) }
	return []mischief{
		{"kill a consumer", func(_ context.Context, a *act) error { a.kill(a.alive()[0]); return replace(a) }},
		{"freeze a consumer for 9 s", func(ctx context.Context, a *act) error {
			c := a.alive()[0]
			freeze(c)
			defer thaw(c)
			return a.wait(ctx, 9*time.Second)
		}},
		{"stop a consumer", func(_ context.Context, a *act) error { return errors.Join(replace(a), a.alive()[0].Stop()) }},
		{"kill the broker", server("kafka", time.Second)},
		{"freeze the broker for 5 s", hold("kafka", 5*time.Second)},
		{"kill Redis", server("redis", 2*time.Second)},
		{"freeze Redis for 5 s", hold("redis", 5*time.Second)},
		{"kill the database", server("mysql", time.Second)},
		{"freeze the database for 6 s", hold("mysql", 6*time.Second)},
		{"kill the database's connections", func(ctx context.Context, a *act) error { _, err := a.killConnections(ctx); return err }},
		{"reset all connections", network(append(append(kafka, redis...), database...), (*faultproxy.Proxy).Reset, 0)},
		{"cut everything off for 4 s", network(append(append(kafka, redis...), database...), (*faultproxy.Proxy).Cut, 4*time.Second)},
		{"delay everything by 200 ms for 8 s", network(append(append(kafka, redis...), database...), slow, 8*time.Second)},
		{"refuse the database for 4 s", network(database, (*faultproxy.Proxy).Refuse, 4*time.Second)},
		{"refuse Redis for 4 s", network(redis, (*faultproxy.Proxy).Refuse, 4*time.Second)},
	}
}

func playNemesis(ctx context.Context, a *act) error {
	var ways [3][]*faultproxy.Proxy
	for i, kind := range []string{"kafka", "redis", "database"} {
		proxies, err := a.through(kind, nil)
		if err != nil {
			return err
		}
		ways[i] = proxies
	}
	err := a.begin(ctx, 3)
	if err != nil {
		return err
	}
	list := mischiefs(ways[0], ways[1], ways[2])
	done := make(map[string]int)
	var order []int
	for ends := time.Now().Add(a.For); time.Now().Before(ends); {
		if len(order) == 0 {
			order = rand.Perm(len(list)) // each once before any twice
		}
		m := list[order[0]]
		order = order[1:]
		began := time.Now()
		a.say("%s", m.name)
		done[m.name]++
		if err = m.do(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if err = a.wait(ctx, 15*time.Second-time.Since(began)); err != nil {
			return err
		}
	}
	for _, m := range list {
		if done[m.name] > 0 {
			a.observe("%s %d times", m.name, done[m.name])
		}
	}
	if n := len(a.alive()); n != 3 {
		return fmt.Errorf("of 3 consumers %d are left", n)
	}
	return nil
}

// figures are what a consumer says of itself.
type figures struct{ goroutines, memory float64 }

func (a *act) figures(ctx context.Context, address string) (f figures, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return f, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return f, fmt.Errorf("ask a consumer for its metrics: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "go_goroutines":
			_, err = fmt.Sscan(value, &f.goroutines)
		case "process_resident_memory_bytes":
			_, err = fmt.Sscan(value, &f.memory)
		}
		if err != nil {
			return f, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return f, nil
}

const (
	soakWarm  = time.Minute      // caches and pools have grown by then
	soakEvery = 30 * time.Second // between two looks
	// soakGrowth is the memory that two looks may differ by: the collector runs
	// when it wants to.
	soakGrowth = 64 << 20
	// soakGoroutines likewise: connections come and go.
	soakGoroutines = 20
)

func playSoak(ctx context.Context, a *act) error {
	const at = "127.0.0.1:29817"
	if _, err := a.start("HTTP_ADDR=" + at); err != nil {
		return err
	}
	err := a.begin(ctx, 1)
	if err != nil {
		return err
	}
	if err = a.wait(ctx, min(soakWarm, a.For/3)); err != nil {
		return err
	}
	first, err := a.figures(ctx, at)
	if err != nil {
		return err
	}
	last, most := first, first
	for ends := time.Now().Add(a.For - soakWarm); time.Now().Before(ends); {
		if err = a.wait(ctx, min(soakEvery, time.Until(ends))); err != nil {
			return err
		}
		if last, err = a.figures(ctx, at); err != nil {
			return err
		}
		most.memory, most.goroutines = max(most.memory, last.memory), max(most.goroutines, last.goroutines)
		a.say("%d orders, %.0f MiB, %.0f goroutines", a.load.Sent(), last.memory/(1<<20), last.goroutines)
	}
	a.observe("%s at %.0f orders a second; memory %.0f MiB after a minute, %.0f at the end, %.0f at the most; goroutines %.0f, %.0f, %.0f",
		a.For, a.Rate, first.memory/(1<<20), last.memory/(1<<20), most.memory/(1<<20), first.goroutines, last.goroutines, most.goroutines)
	if last.memory > first.memory+soakGrowth || last.goroutines > first.goroutines+soakGoroutines {
		return errors.New("memory or goroutines grow")
	}
	return nil
}
