package faultsuite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"orderconsumer/internal/drill"
	"orderconsumer/internal/faultproxy"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/workload"
)

// act is one playing of a row: the place, the consumers, the load, and what was
// seen.
type act struct {
	*Suite
	place   *drill.Place
	load    *drill.Load
	made    workload.Config
	result  *Result
	setting setting
	logs    string

	environment []string // of consumers that are started from now on
	consumers   []*drill.Consumer
	proxies     []*faultproxy.Proxy
	pouring     *pouring
	watching    *watching
	talk        []io.Closer
	counted     map[*drill.Consumer]bool // killed, and counted
}

// say tells what is under way.
func (a *act) say(format string, args ...any) {
	a.Say("%s: "+format, append([]any{a.result.Row}, args...)...)
}

// observe notes something worth telling.
func (a *act) observe(format string, args ...any) {
	a.result.Observed = append(a.result.Observed, fmt.Sprintf(format, args...))
}

// timed notes how long something took.
func (a *act) timed(what string, took, goal time.Duration) {
	a.result.Timings = append(a.result.Timings, Timing{What: what, Took: took, Goal: goal})
}

// start starts one consumer with settings of its own.
func (a *act) start(environment ...string) (*drill.Consumer, error) {
	return a.startBy(a.Consumer, []string{"run"}, environment...)
}

// startBy starts a consumer by another command.
func (a *act) startBy(path string, args []string, environment ...string) (*drill.Consumer, error) {
	log, err := os.OpenFile(fmt.Sprintf("%s-%02d.log", a.logs, len(a.consumers)+1), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write a consumer's log: %w", err)
	}
	a.talk = append(a.talk, log)
	env := append(a.place.Environment(),
		"KAFKA_BROKERS="+strings.Join(a.Brokers, ","), "REDIS_URL="+strings.Join(a.RedisURLs, ","),
		"SESSION_TIMEOUT="+session.String(), "DRAIN_TIMEOUT="+drain.String(), "LOCK_EXPIRY="+lockExpiry.String(),
		"LOG_LEVEL=info")
	env = append(append(env, a.environment...), environment...)
	c, err := drill.Start(drill.Command{Path: path, Args: args, Environment: env, Talk: log})
	if err != nil {
		return nil, err
	}
	a.consumers = append(a.consumers, c)
	return c, nil
}

// alive are the consumers that have not ended.
func (a *act) alive() []*drill.Consumer {
	var alive []*drill.Consumer
	for _, c := range a.consumers {
		if c.Alive() {
			alive = append(alive, c)
		}
	}
	return alive
}

// begin starts n consumers that share the work, and the load; it returns when
// they are at it.
func (a *act) begin(ctx context.Context, n int, environment ...string) error {
	for range n {
		if _, err := a.start(environment...); err != nil {
			return err
		}
	}
	err := a.members(ctx, len(a.alive()))
	if err != nil {
		return err
	}
	return a.pour(ctx, a.Rate)
}

// membersFor is how long a group may take to come together.
const membersFor = time.Minute

func (a *act) members(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, membersFor)
	defer cancel()
	err := a.place.AwaitMembers(ctx, n)
	if err != nil {
		return errors.Join(err, a.onlyKilled())
	}
	return nil
}

// pouring is the load that comes in beside everything else.
type pouring struct {
	stop context.CancelFunc
	done chan error
}

// pour lets orders come in until dam is called; it returns when the first of
// them have outcomes.
func (a *act) pour(ctx context.Context, rate float64) error {
	before, err := a.place.Outcomes(ctx)
	if err != nil {
		return err
	}
	inner, stop := context.WithCancel(ctx)
	a.pouring = &pouring{stop: stop, done: make(chan error, 1)}
	go func() { a.pouring.done <- a.load.Publish(inner, a.setting.orders*2, rate) }()
	waiting, cancel := context.WithTimeout(ctx, membersFor)
	defer cancel()
	_, err = a.place.AwaitOutcome(waiting, before+int64(rate/2), time.Now())
	return err
}

// dam ends the load.
func (a *act) dam() error {
	if a.pouring == nil {
		return nil
	}
	a.pouring.stop()
	err := <-a.pouring.done
	a.pouring = nil
	return err
}

// died counts a consumer that SIGKILL has ended.
func (a *act) died(c *drill.Consumer) {
	if a.counted == nil {
		a.counted = make(map[*drill.Consumer]bool)
	}
	if c.Killed() && !a.counted[c] {
		a.counted[c] = true
		a.result.Kills++
	}
}

// kill ends a consumer by SIGKILL.
func (a *act) kill(c *drill.Consumer) {
	c.Kill()
	a.died(c)
}

// takenOver measures how long it takes until every partition goes on, those of
// a consumer that settles nothing after the mark too.
func (a *act) takenOver(ctx context.Context, mark drill.Mark) error {
	on, err := a.awaitPast(ctx, mark)
	if err != nil {
		return err
	}
	a.timed("takeover", on.First, takeover)
	a.timed("what had piled up is done", on.Past, 0)
	return nil
}

// past measures how long after the mark somebody, or something, is waited for
// by anybody.
func (a *act) past(ctx context.Context, mark drill.Mark, what string, goal time.Duration) error {
	on, err := a.awaitPast(ctx, mark)
	if err != nil {
		return err
	}
	a.timed(what, on.Past, goal)
	return nil
}

// pastNow is past from now on, without a goal.
func (a *act) pastNow(ctx context.Context, what string) error {
	mark, err := a.place.Mark(ctx)
	if err != nil {
		return err
	}
	return a.past(ctx, mark, what, 0)
}

func (a *act) awaitPast(ctx context.Context, mark drill.Mark) (drill.GoneOn, error) {
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	return a.place.AwaitPast(ctx, mark)
}

// resumed measures how long after since the next outcome comes.
func (a *act) resumed(ctx context.Context, what string, before int64, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	took, err := a.place.AwaitOutcome(ctx, before, since)
	if err != nil {
		return err
	}
	a.timed(what, took, restartGoal)
	return nil
}

// through puts a proxy before every server of one kind, for consumers that are
// started from now on.
func (a *act) through(kind string, watch func([]byte) faultproxy.Verdict) ([]*faultproxy.Proxy, error) {
	var configs []faultproxy.Config
	switch kind {
	case "kafka":
		for _, broker := range a.Brokers {
			configs = append(configs, faultproxy.Config{Target: port(broker, 2), Listen: port(broker, 3)})
		}
	case "redis":
		for _, u := range a.RedisURLs {
			configs = append(configs, faultproxy.Config{Target: address(u)})
		}
	default:
		configs = append(configs, faultproxy.Config{Target: address(a.DatabaseURL)})
	}
	var made []*faultproxy.Proxy
	var addresses []string
	for i, config := range configs {
		config.Watch = watch
		proxy, err := faultproxy.Start(config)
		if err != nil {
			return nil, err
		}
		a.proxies, made = append(a.proxies, proxy), append(made, proxy)
		at := proxy.Addr()
		if kind == "redis" {
			at = withAddress(a.RedisURLs[i], at)
		}
		addresses = append(addresses, at)
	}
	switch kind {
	case "kafka":
		a.environment = append(a.environment, "KAFKA_BROKERS="+strings.Join(addresses, ","))
	case "redis":
		a.environment = append(a.environment, "REDIS_URL="+strings.Join(addresses, ","))
	default:
		a.environment = append(a.environment, "DATABASE_URL="+withAddress(a.place.DatabaseURL, addresses[0]))
	}
	return made, nil
}

// wait lets time pass, unless ctx ends.
func (a *act) wait(ctx context.Context, d time.Duration) error {
	if !rest(ctx, d) {
		return ctx.Err()
	}
	return nil
}

// finish heals what is broken, waits until everything is settled, stops the
// consumers and looks at what became of the orders.
func (a *act) finish(ctx context.Context) error {
	for _, p := range a.proxies {
		p.SetDelay(0)
		p.Mend()
	}
	errs := []error{a.Servers.Mend(ctx), a.dam()}
	for _, c := range a.alive() {
		c.Signal(syscall.SIGCONT)
	}
	if len(a.alive()) == 0 {
		_, err := a.start()
		errs = append(errs, err)
	}
	settling, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	healed := time.Now()
	errs = append(errs, a.place.AwaitLeft(settling, 0, nil))
	a.timed("everything settled", time.Since(healed), 0)
	for _, c := range a.alive() {
		errs = append(errs, c.Stop())
	}
	for _, c := range a.consumers {
		a.died(c)
	}
	a.watching.end(a.result)
	errs = append(errs, a.examine(ctx))
	return errors.Join(errs...)
}

// examine fills in what became of the orders.
func (a *act) examine(ctx context.Context) error {
	r := a.result
	r.Events = a.load.Sent()
	if a.setting.lossy {
		own, err := a.place.Ledger.Audit(ctx, stock.AuditOptions{})
		r.Orders, r.Wrong = own.Orders, int(own.Findings)
		return err
	}
	outcomes, err := a.place.Outcomes(ctx)
	if err != nil {
		return err
	}
	report, err := a.load.Examine(ctx)
	if err != nil {
		return err
	}
	r.Lost, r.Oversold, r.Wrong, r.Findings = report.Lost, report.Oversold, report.Wrong, report.Findings
	r.Dead, r.Retried, r.Replayed = report.Dead, report.Retried, outcomes-report.Published
	for _, n := range report.States {
		r.Orders += n
	}
	if report.Unsettled > 0 {
		return fmt.Errorf("%d messages are not settled", report.Unsettled)
	}
	return nil
}

// end stops what still runs and takes the place away.
func (a *act) end(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	errs := []error{a.Servers.Mend(ctx), a.dam()}
	a.watching.end(nil)
	for _, c := range a.alive() {
		c.Signal(syscall.SIGCONT)
		c.Kill()
	}
	for _, p := range a.proxies {
		p.Close()
	}
	for _, log := range a.talk {
		_ = log.Close() // what was to be read has been
	}
	if a.load != nil {
		a.load.Close()
	}
	return errors.Join(append(errs, a.place.Remove(ctx))...)
}

// logged counts the lines of all consumers' logs that hold text.
func (a *act) logged(text string) int {
	n := 0
	for i := range a.consumers {
		content, err := os.ReadFile(fmt.Sprintf("%s-%02d.log", a.logs, i+1))
		if err == nil {
			n += strings.Count(string(content), text)
		}
	}
	return n
}
