package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"orderconsumer/internal/faultproxy"
	"orderconsumer/internal/instance"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
)

// counter serves an instance while a test asks it.
type counter struct {
	*shop
	addr     string
	instance *instance.Instance
	// settled receives each outcome, after the log has confirmed it.
	settled chan order.Settlement
}

// openCounter runs an instance with an API until the test ends.
func openCounter(s *shop) *counter {
	c := &counter{shop: s, settled: make(chan order.Settlement, 10_000)}
	s.settings.HTTP = "127.0.0.1:0"
	bound := make(chan net.Addr, 1)
	i := s.open(func(o *instance.Options) {
		o.OnListen = func(a net.Addr) { bound <- a }
		o.OnSettled = func(settled order.Settlement) { c.settled <- settled }
	})
	c.instance = i
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := i.Run(ctx, context.WithoutCancel(ctx)); err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(func() { cancel(); running.Wait() })
	c.addr = (<-bound).String()
	return c
}

// ask asks for one goods; status is that of the answer.
func (c *counter) ask(goods string) (available int64, age time.Duration, status int) {
	c.t.Helper()
	response, err := http.Get("http://" + c.addr + "/v1/stock/" + goods)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var level struct{ Available int64 }
	if err := json.Unmarshal(body, &level); err != nil {
		c.t.Fatalf("%s: %v", body, err)
	}
	seconds, _ := strconv.Atoi(response.Header.Get("Age"))
	return level.Available, time.Duration(seconds) * time.Second, response.StatusCode
}

// order publishes an order of one of the goods and waits until it is settled.
func (c *counter) order(id, goods string) {
	c.t.Helper()
	c.send(create(id, goods, 1))
	select {
	case s := <-c.settled:
		if s.Outcome != "deducted" {
			c.t.Fatalf("order %s was %s", id, s.Outcome)
		}
	case <-time.After(testTimeout):
		c.t.Fatalf("order %s is not settled", id)
	}
}

// TestAQueryAfterAnOutcome measures how long after an outcome a query still
// shows the level from before it. The bound is the one that the documents state.
func TestAQueryAfterAnOutcome(t *testing.T) {
	t.Parallel()
	const orders = 200
	c := openCounter(newShop(t))
	c.stocked(map[string]int64{"a": orders})
	if got, _, status := c.ask("a"); got != orders || status != 200 {
		t.Fatalf("%d available, status %d", got, status)
	}
	var late []time.Duration
	bound := c.settings.Cache.TTL + c.settings.Cache.Stale
	for n := range orders {
		c.order(fmt.Sprint("A-", n), "a")
		outcome := time.Now()
		for {
			got, age, _ := c.ask("a")
			waited := time.Since(outcome)
			if got == int64(orders-n-1) {
				late = append(late, waited)
				break
			}
			if waited > bound || age > bound {
				t.Fatalf("%s after outcome %d %d are shown, %s old", waited, n, got, age)
			}
		}
	}
	slices.Sort(late)
	t.Logf("the new level was shown after: median %s, p99 %s, most %s (a query alone takes some of that); bound %s",
		late[orders/2], late[orders*99/100], late[orders-1], bound)
}

// TestOrdersDoNotMindACacheThatHangs: neither an order nor a query waits for it
// longer than for the first silence.
func TestOrdersDoNotMindACacheThatHangs(t *testing.T) {
	t.Parallel()
	var proxy *faultproxy.Proxy
	s := newShop(t, func(s *settings.Consumer) {
		var err error
		target := strings.TrimSuffix(strings.TrimPrefix(s.Redis.URLs[0], "redis://"), "/0")
		proxy, err = faultproxy.Start(faultproxy.Config{Target: target})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Close)
		s.Cache.URL = "redis://" + proxy.Addr() + "/0"
	})
	c := openCounter(s)
	c.stocked(map[string]int64{"a": 10})
	c.ask("a")
	proxy.Cut() // connections stay open and carry nothing
	for n := range 3 {
		c.order(fmt.Sprint("A-", n), "a")
		if got, age, status := c.ask("a"); got != int64(9-n) || age > time.Second || status != 200 {
			t.Errorf("after order %d: %d available, %s old, status %d", n, got, age, status)
		}
	}
	response, err := http.Get("http://" + c.addr + "/readyz?verbose")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("readiness is %d: a cache is no reason not to be ready", response.StatusCode)
	}
	proxy.Mend()
	late := time.After(testTimeout)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		hits := lookups(t, c.instance, "hit")
		if got, _, _ := c.ask("a"); got == 7 && lookups(t, c.instance, "hit") > hits {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the cache is not used again")
		}
	}
}

// TestMalformedQuestionsAreNotAsked: they reach neither Redis nor the database.
func TestMalformedQuestionsAreNotAsked(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.settings.Cache.Mode = "off"
	s.settings.HTTP = "127.0.0.1:0"
	i := s.open()
	server, err := i.API()
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/v1/stock/a%0Ab", "/v1/stock/" + strings.Repeat("x", 65), "/v1/stock?goods_id=",
		"/v1/stock?" + strings.Repeat("goods_id=a&", 201)} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		server.ServeHTTP(rec, r)
		if rec.Code != 400 {
			t.Errorf("%s: %d", target, rec.Code)
		}
	}
	for _, result := range []string{"hit", "unknown", "stale", "rebuilt", "database", "refused"} {
		if n := lookups(t, i, result); n != 0 {
			t.Errorf("%v look-ups ended as %s", n, result)
		}
	}
}

// lookups is how many questions an instance has answered in one way.
func lookups(t *testing.T, i *instance.Instance, result string) float64 {
	t.Helper()
	families, err := i.Metrics().Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "order_stock_lookups_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("nothing counts look-ups that end as %s", result)
	return 0
}
