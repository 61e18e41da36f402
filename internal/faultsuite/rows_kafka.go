package faultsuite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"orderconsumer/internal/faultproxy"
)

// kafkaRows break brokers and the way to them.
func kafkaRows() []Row {
	return []Row{
		{Number: 12, Name: "kill-broker", Short: true, Brokers: 1, Fault: "kill -9 of the only broker, 3 s away, restart",
			Expect: "no consumer ends; the first order within 5 s after the port opens", play: playKillBroker},
		{Number: 12, Name: "kill-one-of-three-brokers", Brokers: 3, Fault: "kill -9 of one of three brokers, min.insync.replicas=2, 10 s away, restart",
			Expect: "work goes on without it", play: playKillOneBroker},
		{Number: 13, Name: "freeze-broker", Brokers: 1, Fault: "SIGSTOP of the broker for 10 s", Expect: "resumes within 5 s",
			play: freezeServer("kafka", 10*time.Second)},
		{Number: 13, Name: "freeze-broker-60s", Brokers: 1, Fault: "SIGSTOP of the broker for 60 s", Expect: "resumes",
			play: freezeServer("kafka", time.Minute)},
		{Number: 13, Name: "freeze-first-of-three-brokers", Brokers: 3,
			Fault:  "SIGSTOP of the broker that everybody asks first, one of three; a consumer joins meanwhile",
			Expect: "work goes on without it, and the group is joined", play: playFreezeFirst},
		{Number: 14, Name: "partitioned-consumer", Fault: "one of two consumers cut off from the brokers for 15 s, without a word",
			Expect: "the other one takes over; it comes back", play: playCutOff},
		{Number: 15, Name: "slow-broker", Fault: "200 to 2000 ms delay each way to the brokers, changing, 20 s",
			Expect: "slower; no member is taken for dead", play: playSlowBroker},
		{Number: 16, Name: "broker-resets", Fault: "all connections to the brokers reset every 300 ms, 10 s", Expect: "reconnects",
			play: playBrokerResets},
		{Number: 17, Name: "roll-brokers", Brokers: 3, Fault: "kill -9 and restart of three brokers one after the other: coordinator and leaders move",
			Expect: "rejoined; nothing is read from the beginning", play: playRoll},
		{Number: 18, Name: "lose-offset-commits", Fault: "40 offset commits lost on the way, connection reset",
			Expect: "work goes on, offsets are committed later", play: loseRequests(keyOffsetCommit, faultproxy.LoseRequest, 40)},
		{Number: 18, Name: "lose-offset-commit-replies", Fault: "the answers to 40 offset commits lost",
			Expect: "the same", play: loseRequests(keyOffsetCommit, faultproxy.LoseReply, 40)},
		{Number: 19, Name: "lose-produce-replies", Fault: "the answers to 40 produce requests lost: appended, not confirmed",
			Expect: "outcomes twice in the log, orders once", play: loseRequests(keyProduce, faultproxy.LoseReply, 40)},
		{Number: 20, Name: "no-dead-letter-topic", Fault: "the dead-letter topic deleted under load, made again after 10 s",
			Expect: "no offset passes an event that could not be dead-lettered", play: playNoDeadTopic, setting: setting{broken: 0.05}},
		{Number: 21, Name: "retention", Brokers: 1, Fault: "the log's start moved past the committed offsets",
			Expect: "the consumer refuses to start and says what is lost; goes on when told to", play: playRetention,
			setting: setting{lossy: true}},
		{Number: 22, Name: "full-replay", Fault: "the group's offsets deleted: everything is read again from the beginning",
			Expect: "no row of the ledger changes", play: playReplay},
		{Number: 23, Name: "more-partitions", Fault: "the input grows from 6 to 12 partitions under load",
			Expect: "the new ones are read", play: playMorePartitions},
	}
}

func playKillBroker(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	before, err := a.place.Outcomes(ctx)
	if err != nil {
		return err
	}
	err = a.Servers.Kill("kafka")
	if err == nil {
		err = a.wait(ctx, 3*time.Second)
	}
	if err != nil {
		return err
	}
	err = a.restarted(ctx, "kafka", a.Brokers[0], before)
	if err == nil && len(a.alive()) != 2 {
		err = fmt.Errorf("of 2 consumers %d are left", len(a.alive()))
	}
	return err
}

// restarted starts a server and measures how long after its port opens the next
// outcome comes.
func (a *act) restarted(ctx context.Context, name, at string, before int64) error {
	up := make(chan error, 1)
	go func() { up <- a.Servers.Up(ctx, name) }()
	open, err := awaitPort(ctx, at)
	if err == nil {
		// While the server was away, what was on its way may have come to its end.
		now, e := a.place.Outcomes(ctx)
		if e == nil && now > before {
			before = now
		}
		err = a.resumed(ctx, "first outcome after the port opened", before, open)
	}
	err = errors.Join(err, <-up)
	if err != nil {
		return err
	}
	return a.wait(ctx, 3*time.Second)
}

func playKillOneBroker(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	err = a.Servers.Kill("kafka2")
	if err == nil {
		err = a.pastNow(ctx, "all partitions going on without the broker")
	}
	if err == nil {
		err = a.wait(ctx, 10*time.Second)
	}
	return errors.Join(err, a.Servers.Up(ctx, "kafka2"))
}

// freezeServer freezes a server for a while and measures how long it takes to
// go on.
func freezeServer(name string, d time.Duration) func(context.Context, *act) error {
	return func(ctx context.Context, a *act) error {
		err := a.begin(ctx, 2)
		if err != nil {
			return err
		}
		before, err := a.place.Outcomes(ctx)
		if err != nil {
			return err
		}
		err = a.Servers.Freeze(name)
		if err == nil {
			err = a.wait(ctx, d)
		}
		err = errors.Join(err, a.Servers.Thaw(name))
		if err != nil {
			return err
		}
		thawed := time.Now()
		err = a.resumed(ctx, "first outcome after it went on", before, thawed)
		if err == nil {
			err = a.wait(ctx, 3*time.Second)
		}
		if err == nil && len(a.alive()) != 2 {
			err = fmt.Errorf("of 2 consumers %d are left", len(a.alive()))
		}
		return err
	}
}

// playFreezeFirst freezes a broker whose address stands first in everybody's
// settings. It goes on taking connections: its kernel does.
func playFreezeFirst(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	err = a.Servers.Freeze("kafka")
	if err == nil {
		err = a.pastNow(ctx, "all partitions going on without the broker")
	}
	if err == nil {
		_, err = a.start()
	}
	if err == nil {
		err = a.members(ctx, 3)
	}
	if err == nil {
		err = a.pastNow(ctx, "and with one more consumer")
	}
	err = errors.Join(err, a.Servers.Thaw("kafka"))
	if err == nil {
		err = a.wait(ctx, 3*time.Second)
	}
	if err == nil && len(a.alive()) != 3 {
		err = fmt.Errorf("of 3 consumers %d are left", len(a.alive()))
	}
	return err
}

func playCutOff(ctx context.Context, a *act) error {
	direct, err := a.start()
	if err != nil {
		return err
	}
	proxies, err := a.through("kafka", nil)
	if err != nil {
		return err
	}
	err = a.begin(ctx, 1)
	if err != nil {
		return err
	}
	for _, p := range proxies {
		p.Cut()
	}
	mark, err := a.place.Mark(ctx)
	if err == nil {
		err = a.takenOver(ctx, mark)
	}
	if err == nil {
		err = a.wait(ctx, 15*time.Second-time.Since(mark.At))
	}
	for _, p := range proxies {
		p.Mend()
	}
	if err == nil {
		err = a.members(ctx, 2)
	}
	if err == nil && (!direct.Alive() || len(a.alive()) != 2) {
		err = errors.New("a consumer has ended")
	}
	return err
}

func playSlowBroker(ctx context.Context, a *act) error {
	proxies, err := a.through("kafka", nil)
	if err != nil {
		return err
	}
	err = a.begin(ctx, 2, "SESSION_TIMEOUT=10s", "DRAIN_TIMEOUT=5s")
	if err != nil {
		return err
	}
	before := a.logged("partitions assigned")
	for range 40 {
		for _, p := range proxies {
			p.SetDelay(200*time.Millisecond + rand.N(1800*time.Millisecond))
		}
		if err = a.wait(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	a.observe("%d new assignments", a.logged("partitions assigned")-before)
	return nil
}

func playBrokerResets(ctx context.Context, a *act) error {
	proxies, err := a.through("kafka", nil)
	if err != nil {
		return err
	}
	err = a.begin(ctx, 2)
	if err != nil {
		return err
	}
	return resets(ctx, a, proxies, 300*time.Millisecond, 33)
}

// resets tears all connections down again and again.
func resets(ctx context.Context, a *act, proxies []*faultproxy.Proxy, every time.Duration, times int) error {
	torn := 0
	for range times {
		for _, p := range proxies {
			torn += p.Connections()
			p.Reset()
		}
		if err := a.wait(ctx, every); err != nil {
			return err
		}
	}
	a.observe("%d connections torn down", torn)
	if torn == 0 {
		return errors.New("void: there was no connection to tear down")
	}
	return nil
}

func playRoll(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	for _, name := range []string{"kafka", "kafka2", "kafka3"} {
		err = a.Servers.Kill(name)
		if err == nil {
			err = a.pastNow(ctx, "going on without "+name)
		}
		err = errors.Join(err, a.Servers.Up(ctx, name))
		if err == nil {
			err = a.wait(ctx, 5*time.Second) // its copies catch up, or two of three would be missing
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Numbers of requests in Kafka's protocol.
const (
	keyProduce      = 0
	keyOffsetCommit = 8
)

// isRequest tells whether what a client sends begins with a request of that
// number: four bytes of length, two of the number.
func isRequest(sent []byte, key int) bool {
	return len(sent) > 8 && int(sent[4])<<8|int(sent[5]) == key
}

// loseRequests loses every third of one kind of request, or the answer to it,
// so many times.
func loseRequests(key int, verdict faultproxy.Verdict, most int64) func(context.Context, *act) error {
	return func(ctx context.Context, a *act) error {
		var seen, lost atomic.Int64
		_, err := a.through("kafka", func(sent []byte) faultproxy.Verdict {
			if !isRequest(sent, key) || lost.Load() >= most || seen.Add(1)%3 != 0 {
				return faultproxy.Pass
			}
			lost.Add(1)
			return verdict
		})
		if err != nil {
			return err
		}
		err = a.begin(ctx, 2)
		if err != nil {
			return err
		}
		losing, cancel := context.WithTimeout(ctx, membersFor)
		defer cancel()
		for lost.Load() < most && rest(losing, pollEvery) {
		}
		a.observe("%d lost", lost.Load())
		if lost.Load() < most/4 {
			return fmt.Errorf("void: only %d were lost", lost.Load())
		}
		return nil
	}
}
