package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
)

// A shop that is open for long: few enough goods to be shown, and a delivery
// often enough to be seen.
const (
	liveGoods    = 12
	deliverEvery = 45 // seconds, about
	strangeEvery = 400
)

// followEvery is how often it is looked what has come into a topic.
const followEvery = 200 * time.Millisecond

// leavePatience is how long the consumers that have joined may take to leave.
const leavePatience = 10 * time.Second

// live runs the shop until it is told to stop.
func (c *runCommand) live(take context.Context, session *cli.Session, w *world) (*report, error) {
	work := session.Abort
	s, err := openShop(work, w, shopConfig{
		orders: c.Orders, waveOrders: c.Rate * deliverEvery, goods: liveGoods,
		rate: c.Rate, seed: c.Seed, strangeEvery: strangeEvery,
	})
	if err != nil {
		return nil, err
	}
	consumer, err := w.startConsumer(work, nil)
	if err != nil {
		return nil, err
	}
	sign := newSignpost(c.Signpost)
	posted := w.post(session, sign)
	session.Say("%s", s.welcome(posted))

	watch := s.watch(take, newScreen(c.screen(session)))
	began := time.Now()
	said := began
	err = s.run(take, work, consumer, func(left int64) {
		if take.Err() != nil && time.Since(said) > cli.LineEvery {
			said = time.Now()
			session.Say("closing: %d messages are still to be settled", left)
		}
	})
	took := time.Since(began)
	watch.stop()
	if posted {
		// Gone from its place, it tells those who have joined to leave. They must
		// have left before the servers end.
		if stays := sign.take(&w.whereabouts); stays != nil {
			session.Say("demo: %v", stays)
		}
		w.awaitAlone(work)
	}
	return s.conclude(work, consumer, err, took)
}

// post puts the signpost up, unless there is another demo's.
func (w *world) post(session *cli.Session, sign signpost) bool {
	other, err := sign.find()
	if err == nil {
		session.Say("demo: another demo runs already (process %d): join, audit and stock go to that one", other.PID)
		return false
	}
	err = sign.put(&w.whereabouts)
	if err != nil {
		session.Say("demo: nobody can join: %v", err)
		return false
	}
	return true
}

// awaitAlone waits until this process's consumer is the only one.
func (w *world) awaitAlone(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leavePatience)
	defer cancel()
	for {
		group, err := w.client.DescribeGroup(ctx, w.settings.Group.Group)
		if err != nil || len(group.Members) <= 1 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(signpostPoll):
		}
	}
}

// welcome says where everything is and what to try.
func (s *shop) welcome(posted bool) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("The shop is open: Kafka %s, Redis %s, database %s", s.Brokers[0], strings.TrimPrefix(s.RedisURL, "redis://"), s.DatabaseURL)
	line("  API http://%s/v1/stock/%s1  /v1/orders/{order_id}  /readyz?verbose  /metrics", s.API, goodsPrefix)
	line("  log %s", s.logPath())
	line("In a second terminal:")
	if !reaches(os.Getenv("KAFKA_BROKERS"), s.Brokers[0]) {
		line("  export KAFKA_BROKERS=%-38s so that the producer finds it", s.Brokers[0])
	}
	if posted {
		line("  go run ./cmd/demo join                                      a second consumer shares the work")
		line("  go run ./cmd/demo stock list                                what is in stock")
	}
	line(`  echo '{"type":"order.created","order_id":"mine-1","items":[{"goods_id":"%s1","num":2}]}' |`, goodsPrefix)
	line("    go run ./cmd/producer publish --file -                    an order of your own")
	line("  curl http://%-48s what became of it", s.API+"/v1/orders/mine-1")
	line("Ctrl-C closes the shop and audits it.")
	return b.String()
}

// reaches reports whether a producer that finds brokers in its environment
// comes to this demo.
func reaches(brokers, ours string) bool {
	usual := fmt.Sprintf(":%d", usualPorts.kafka)
	return brokers == ours || strings.HasSuffix(ours, usual) && (brokers == "" || brokers == "localhost"+usual)
}

// follow hands over what stands in a topic and what comes into it, until ctx
// ends.
func (w *world) follow(ctx context.Context, topic string, visit func(order.Message)) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	done := make(map[int]int64) // by partition, up to where
	for {
		ranges, err := w.client.Ranges(ctx, topic)
		if err != nil {
			return err
		}
		for i, r := range ranges {
			ranges[i].From = max(r.From, done[r.Partition])
			done[r.Partition] = max(r.To, done[r.Partition])
		}
		err = w.client.Scan(ctx, ranges, func(m order.Message) error {
			visit(m)
			return nil
		})
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
