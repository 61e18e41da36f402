package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/testkit"
)

// opened is a shop that is open in this process.
type opened struct {
	*visitor
	where *whereabouts
	close func() // as Ctrl-C does
	err   chan error
}

// open opens a shop on any ports, and returns when it is open.
func open(t *testing.T, c *runCommand) *opened {
	t.Helper()
	o := &opened{visitor: newVisitor(t), err: make(chan error, 1)}
	c.OutputSettings = cli.OutputSettings{Output: "json"}
	take, cancel := context.WithCancel(t.Context())
	o.close = cancel
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.err <- c.openOn(take, o.session(), ports{})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	o.await(t, "Ctrl-C closes the shop")
	where, err := newSignpost(c.Signpost).find()
	if err != nil {
		t.Fatal(err)
	}
	o.where = where
	return o
}

// positions are the group's in the input topic.
func positions(t *testing.T, client *kafka.Client) []kafka.Position {
	t.Helper()
	list, err := client.Positions(t.Context(), "order-consumer", []string{"orders"})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// It changes the environment, and so runs alone.
func TestOthersJoinTheDemoAndLeaveIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demo.json")
	t.Setenv(signpostEnv, path)
	// What is set for the real servers is not meant for the demo.
	t.Setenv("DATABASE_URL", "mysql://nobody@localhost:1/nothing")
	t.Setenv("KAFKA_BROKERS", "localhost:1")
	t.Setenv("KAFKA_TLS", "true")
	shop := open(t, &runCommand{Rate: 200, Seed: 1, Signpost: path})
	client := kafka.Connect(kafka.Config{Brokers: shop.where.Brokers, ClientID: "test"})
	defer client.Close()

	members := func(want int) func() bool {
		return func() bool {
			group, err := client.DescribeGroup(t.Context(), "order-consumer")
			if err != nil {
				t.Fatal(err)
			}
			idle := slices.ContainsFunc(group.Members, func(m kafka.Member) bool { return m.Partitions == 0 })
			return len(group.Members) == want && group.State == "Stable" && !idle
		}
	}
	allSettleMore := func() {
		t.Helper()
		before := positions(t, client)
		eventually(t, "every partition is worked on", func() bool {
			for i, now := range positions(t, client) {
				if now.Committed <= before[i].Committed {
					return false
				}
			}
			return true
		})
	}
	join := func() (*visitor, context.CancelFunc, chan error) {
		v, err := newVisitor(t), make(chan error, 1)
		take, leave := context.WithCancel(t.Context())
		go func() { err <- (&joinCommand{Signpost: path}).join(take, v.session()) }()
		eventually(t, "two share the work", members(2))
		return v, leave, err
	}

	first, leave, left := join()
	allSettleMore()
	leave()
	if err := <-left; err != nil {
		t.Errorf("the first to join left with %v", err)
	}
	if text := first.text(); !strings.Contains(text, "this consumer settled") || strings.Contains(text, "settled 0 events") {
		t.Errorf("the first to join said:\n%s", text)
	}
	eventually(t, "one does the work alone", members(1))

	for _, args := range [][]string{{"audit"}, {"stock", "list"}} {
		if got := call(args...); got.code != 0 || !strings.Contains(got.stdout, "goods") {
			t.Errorf("%v: %+v", args, got)
		}
	}

	counted := regexp.MustCompile(`deducted [1-9]`)
	eventually(t, "the shop shows what became of the orders", func() bool { return counted.MatchString(shop.text()) })

	second, leave, left := join()
	defer leave()
	allSettleMore()
	shop.close()
	if err := <-left; err != nil || !strings.Contains(second.text(), "the demo is closing") {
		t.Errorf("the second to join left with %v and said:\n%s", err, second.text())
	}
	shop.expectClean(t)
	if _, err := newSignpost(path).find(); err == nil {
		t.Error("a demo that has ended can be found")
	}
}

// expectClean waits for the end of the shop.
func (o *opened) expectClean(t *testing.T) *report {
	t.Helper()
	err := <-o.err
	var r report
	if err == nil {
		err = json.Unmarshal(o.stdout.Bytes(), &r)
	}
	if err != nil || !r.holds() || r.Published == 0 || r.orders() == 0 {
		t.Errorf("the shop ended with %v and %+v, and said:\n%s", err, r, o.text())
	}
	return &r
}

func TestShopThatHasSoldEnough(t *testing.T) {
	t.Parallel()
	// Enough for an order of goods that are never listed, which goes through all
	// tiers.
	shop := open(t, &runCommand{Rate: 200, Orders: 450, Seed: 5, Signpost: filepath.Join(t.TempDir(), "demo.json")})
	resp, err := http.Get("http://" + shop.where.API + "/v1/stock/goods-1")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the API answers %s", resp.Status)
	}
	r := shop.expectClean(t)
	if r.Dead == 0 || r.Retried < 3 {
		t.Errorf("%+v: goods that are never listed should be retried and dead", r)
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	number := taken.Addr().(*net.TCPAddr).Port

	t.Run("in the place of ports that are taken, others are", func(t *testing.T) {
		w := testWorld(t, ports{kafka: number, redis: number, http: number})
		_, err := w.client.Ping(t.Context())
		if err != nil {
			t.Error(err)
		}
		if w.Brokers[0] == taken.Addr().String() || strings.Contains(w.RedisURL, taken.Addr().String()) || w.API != anyHTTP {
			t.Errorf("got %+v", w.whereabouts)
		}
	})
	t.Run("ports that are free are taken", func(t *testing.T) {
		var free ports
		for _, port := range []*int{&free.kafka, &free.redis, &free.http} {
			*port = testkit.FreePort(t)
		}
		w := testWorld(t, free)
		if w.Brokers[0] != fmt.Sprintf("127.0.0.1:%d", free.kafka) ||
			w.RedisURL != fmt.Sprintf("redis://127.0.0.1:%d/0", free.redis) || w.API != fmt.Sprintf("localhost:%d", free.http) {
			t.Errorf("wanted %+v, got %+v", free, w.whereabouts)
		}
	})
	t.Run("whether a producer needs to be told", func(t *testing.T) {
		for _, tt := range []struct {
			brokers, ours string
			want          bool
		}{
			{"", "127.0.0.1:9092", true},
			{"localhost:9092", "127.0.0.1:9092", true},
			{"", "127.0.0.1:40123", false},
			{"127.0.0.1:40123", "127.0.0.1:40123", true},
			{"kafka:9092", "127.0.0.1:9092", false},
		} {
			if got := reaches(tt.brokers, tt.ours); got != tt.want {
				t.Errorf("KAFKA_BROKERS=%q, demo at %s: got %t", tt.brokers, tt.ours, got)
			}
		}
	})
}
