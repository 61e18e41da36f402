package faultsuite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisGoal is the longest pause there may be while Redis is away: the lock's
// deadline, and what a batch takes.
const redisGoal = 3 * time.Second

// redisRows break Redis and the way to it.
func redisRows() []Row {
	return []Row{
		{Number: 24, Name: "kill-redis", Short: true, Fault: "kill -9 of every Redis, 5 s away, restart without its keys",
			Expect: "work does not stop; locks come back", play: playKillRedis},
		{Number: 24, Name: "redis-quorum", Fault: "of three Redis one is killed, then a second, then both come back",
			Expect: "locks go on with two; with one the work goes on without", play: playQuorum},
		{Number: 24, Name: "redis-required", Fault: "LOCK=required, every Redis away for 5 s", Expect: "work stands still, and comes back by itself",
			play: playRequired},
		{Number: 25, Name: "freeze-redis", Fault: "SIGSTOP of every Redis for 10 s", Expect: "work does not stop", play: playFreezeRedis},
		{Number: 26, Name: "flush-redis", Fault: "FLUSHALL every 50 ms, 10 s: locks vanish while they are held",
			Expect: "the database decides", play: flushRedis},
		{Number: 27, Name: "short-lock", Fault: "LOCK_EXPIRY=10ms: each lock ends inside its transaction", Expect: "the database decides",
			play: shared("LOCK_EXPIRY=10ms")},
		{Number: 28, Name: "slow-redis", Fault: "300 ms delay each way to Redis, resets, SCRIPT FLUSH every 500 ms, 10 s",
			Expect: "bounded tries, scripts are loaded again", play: playSlowRedis},
		{Number: 29, Name: "lock-granted-twice", Short: true, Fault: "every instance locks keys of its own: each lock is granted to everybody",
			Expect: "the database decides", play: playGrantedTwice},
		{Number: 29, Name: "no-lock", Fault: "LOCK=off, three instances", Expect: "the database decides", play: shared("LOCK=off")},
	}
}

// redisNames are the servers behind REDIS_URL.
func (a *act) redisNames() []string {
	return []string{"redis", "redis2", "redis3"}[:len(a.RedisURLs)]
}

// goingOn fails when work stood still for longer than goal while fault lasted.
func (a *act) goingOn(ctx context.Context, what string, fault func() error) error {
	before, err := a.place.Outcomes(ctx)
	if err != nil {
		return err
	}
	longest, moved := time.Duration(0), time.Now()
	done := make(chan error, 1)
	go func() { done <- fault() }()
	for {
		select {
		case err := <-done:
			a.timed(what, max(longest, time.Since(moved)), redisGoal)
			return err
		default:
		}
		if n, err := a.place.Outcomes(ctx); err == nil && n > before {
			before, moved = n, time.Now()
		}
		longest = max(longest, time.Since(moved))
		if !rest(ctx, pollEvery) {
			return ctx.Err()
		}
	}
}

func playKillRedis(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	return a.goingOn(ctx, "longest pause while Redis was away", func() error {
		err := a.Servers.Kill(a.redisNames()...)
		if err == nil {
			err = a.wait(ctx, 5*time.Second)
		}
		err = errors.Join(err, a.Servers.Up(ctx, a.redisNames()...))
		return errors.Join(err, a.wait(ctx, 3*time.Second))
	})
}

func playFreezeRedis(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	return a.goingOn(ctx, "longest pause while Redis was frozen", func() error {
		err := a.Servers.Freeze(a.redisNames()...)
		if err == nil {
			err = a.wait(ctx, 10*time.Second)
		}
		return errors.Join(err, a.Servers.Thaw(a.redisNames()...), a.wait(ctx, 3*time.Second))
	})
}

func playQuorum(ctx context.Context, a *act) error {
	if len(a.RedisURLs) != 3 {
		return errors.New("void: REDIS_URL names no quorum; next: scripts/servers up --quorum")
	}
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	for _, name := range []string{"redis2", "redis3"} {
		err = a.goingOn(ctx, "longest pause without "+name+" too", func() error {
			return errors.Join(a.Servers.Kill(name), a.wait(ctx, 5*time.Second))
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(a.Servers.Up(ctx, "redis2", "redis3"), a.wait(ctx, 3*time.Second))
}

func playRequired(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2, "LOCK=required")
	if err != nil {
		return err
	}
	err = errors.Join(a.Servers.Kill(a.redisNames()...), a.wait(ctx, time.Second))
	if err != nil {
		return err
	}
	before, err := a.place.Outcomes(ctx)
	if err == nil {
		err = a.wait(ctx, 4*time.Second)
	}
	after, e := a.place.Outcomes(ctx)
	err = errors.Join(err, e)
	if err == nil && after > before {
		err = fmt.Errorf("%d orders were settled without the lock that is required", after-before)
	}
	if err != nil {
		return err
	}
	up := make(chan error, 1)
	go func() { up <- a.Servers.Up(ctx, a.redisNames()...) }()
	open, err := awaitPort(ctx, address(a.RedisURLs[len(a.RedisURLs)-1]))
	if err == nil {
		err = a.resumed(ctx, "first outcome after the port opened", after, open)
	}
	return errors.Join(err, <-up)
}

// onRedis runs commands on every Redis, again and again.
func (a *act) onRedis(ctx context.Context, every time.Duration, times int, run func(*redis.Client) error) error {
	var clients []*redis.Client
	for _, target := range a.RedisURLs {
		options, err := redis.ParseURL(target)
		if err != nil {
			return fmt.Errorf("read a URL of Redis: %w", err)
		}
		client := redis.NewClient(options)
		defer client.Close() //nolint:errcheck // it has said what it had to
		clients = append(clients, client)
	}
	for range times {
		for _, client := range clients {
			if err := run(client); err != nil {
				return fmt.Errorf("ask Redis: %w", err)
			}
		}
		if err := a.wait(ctx, every); err != nil {
			return err
		}
	}
	return nil
}

// flushRedis takes away the keys of this row alone: the servers may be shared.
func flushRedis(ctx context.Context, a *act) error {
	err := a.begin(ctx, 3)
	if err != nil {
		return err
	}
	taken := int64(0)
	err = a.onRedis(ctx, 50*time.Millisecond, 200, func(c *redis.Client) error {
		keys, err := c.Keys(ctx, a.place.Group+":*").Result()
		if err == nil && len(keys) > 0 {
			taken += int64(len(keys))
			err = c.Del(ctx, keys...).Err()
		}
		return err
	})
	a.observe("%d keys taken away while they were held", taken)
	if err == nil && taken == 0 {
		err = errors.New("void: no lock was held")
	}
	return err
}

func playSlowRedis(ctx context.Context, a *act) error {
	proxies, err := a.through("redis", nil)
	if err != nil {
		return err
	}
	err = a.begin(ctx, 2)
	if err != nil {
		return err
	}
	for _, p := range proxies {
		p.SetDelay(300 * time.Millisecond)
	}
	err = a.onRedis(ctx, 500*time.Millisecond, 10, func(c *redis.Client) error { return c.ScriptFlush(ctx).Err() })
	if err != nil {
		return err
	}
	for _, p := range proxies {
		p.SetDelay(0)
	}
	return resets(ctx, a, proxies, 200*time.Millisecond, 25)
}

// shared lets three consumers work for a while with one setting.
func shared(environment string) func(context.Context, *act) error {
	return func(ctx context.Context, a *act) error {
		err := a.begin(ctx, 3, environment)
		if err != nil {
			return err
		}
		return a.wait(ctx, 10*time.Second)
	}
}

func playGrantedTwice(ctx context.Context, a *act) error {
	for name := range strings.FieldsSeq("one two three") {
		if _, err := a.start("LOCK_PREFIX=" + a.place.Group + "-" + name + ":{goods}:"); err != nil {
			return err
		}
	}
	err := a.begin(ctx, 0)
	if err != nil {
		return err
	}
	return a.wait(ctx, 10*time.Second)
}
