package faultsuite

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/drill"
)

// consumerRows break consumers.
func consumerRows() []Row {
	rows := []Row{
		{Number: 6, Name: "kill-loop", Fault: "kill -9 of a consumer every 1 to 3 s, 20 times",
			Expect: "the backlog drains afterwards", play: playKillLoop},
		{Number: 7, Name: "freeze-consumer", Fault: "SIGSTOP of a consumer for 15 s, longer than its session, then SIGCONT",
			Expect: "another member takes over; what the frozen one does late changes nothing", play: playFreeze},
		{Number: 8, Name: "freeze-holding-lock", Fault: "SIGSTOP between lock and transaction for 4.5 s, longer than the lock lasts",
			Expect: "two holders; the database decides", play: freezeAt(crash.AfterLock, lockExpiry)},
		{Number: 8, Name: "freeze-in-transaction", Fault: "SIGSTOP before COMMIT, rows and goods locked",
			Expect: "the database gives a client up that is silent for 5 s, and the others go on", play: freezeAt(crash.BeforeCommit, silence)},
		{Number: 9, Name: "terminate", Short: true, Fault: "SIGTERM under load",
			Expect: "drained, committed, left: hand-over within 2 s, nothing done twice", play: playTerminate},
		{Number: 10, Name: "rebalance-storm", Fault: "1, 4 and 1 consumers in turn, every 5 s",
			Expect: "progress goes on", play: playStorm},
		{Number: 11, Name: "late-commit", Fault: "SIGSTOP before the offset commit for 10 s; the commit comes after the partitions have gone",
			Expect: "the late commit is refused: no committed offset goes backwards", play: playLateCommit},
		{Number: 39, Name: "panic", Fault: "a panic inside the transaction, three times",
			Expect: "recovered; the batch is halved and goes on, no event dies of it", play: playPanic},
		{Number: 48, Name: "starved", Fault: "GOMAXPROCS=1, GOGC=5 and four busy loops beside it for 15 s",
			Expect: "no member loses its session", play: playStarved},
	}
	numbers := map[crash.Point]int{crash.AfterFetch: 1, crash.InTx: 2, crash.BeforeCommit: 2, crash.AfterCommit: 3,
		crash.AfterPublish: 4, crash.AfterLock: 5, crash.BeforeOffsetCommit: 4, crash.AfterOffsetCommit: 4}
	for _, point := range crash.Points() {
		rows = append(rows, Row{Number: numbers[point], Name: "kill-" + dashed(point), Short: point == crash.AfterCommit,
			Fault:  "kill -9 at " + string(point),
			Expect: "read again, applied once; takeover within the session timeout and 1 s", play: killAt(point),
			setting: setting{broken: 0.05}})
	}
	return rows
}

func dashed(point crash.Point) string {
	text := []byte(point)
	for i := range text {
		if text[i] == '_' {
			text[i] = '-'
		}
	}
	return string(text)
}

// crashAt is the environment of a consumer that harms itself.
func crashAt(point crash.Point, deed crash.Deed) string {
	passing := int64(5) // by then it is in the middle of things
	if point == crash.AfterFetch {
		passing = 500
	}
	return "CRASH_AT=" + crash.Plan{Point: point, Passing: passing, Deed: deed}.String()
}

// killAt lets one of two consumers die at a point.
func killAt(point crash.Point) func(context.Context, *act) error {
	return func(ctx context.Context, a *act) error {
		doomed, err := a.start(crashAt(point, crash.Kill))
		if err != nil {
			return err
		}
		// It may die before the load has settled in, and the clock runs from there.
		waiting, cancel := context.WithTimeout(ctx, 2*membersFor)
		defer cancel()
		type death struct {
			mark drill.Mark
			err  error
		}
		died := make(chan death, 1)
		go func() {
			mark, err := a.place.MarkDeath(waiting, doomed)
			died <- death{mark, err}
		}()
		err = a.begin(ctx, 1)
		if err != nil {
			return err
		}
		dead := <-died
		if dead.err != nil {
			return dead.err
		}
		a.died(doomed)
		return a.takenOver(ctx, dead.mark)
	}
}

// frozenAt waits until a consumer has frozen itself.
func (a *act) frozenAt(ctx context.Context, c *drill.Consumer) error {
	ctx, cancel := context.WithTimeout(ctx, membersFor)
	defer cancel()
	for !frozen(c.Pid()) {
		if !c.Alive() || !rest(ctx, pollEvery) {
			return errors.New("void: the consumer never came to the point where it was to freeze")
		}
	}
	return nil
}

// freezeAt freezes one of two consumers at a point, for at least as long as its
// lock lasts, and not before the other one has gone on, which is to be within
// patience and a lock wait.
func freezeAt(point crash.Point, patience time.Duration) func(context.Context, *act) error {
	return func(ctx context.Context, a *act) error {
		c, err := a.start(crashAt(point, crash.Stop))
		if err != nil {
			return err
		}
		err = a.begin(ctx, 1)
		if err != nil {
			return err
		}
		err = a.frozenAt(ctx, c)
		if err != nil {
			return err
		}
		since := time.Now()
		before, err := a.place.Outcomes(ctx)
		if err != nil {
			return err
		}
		waiting, cancel := context.WithTimeout(ctx, membersFor)
		defer cancel()
		took, err := a.place.AwaitOutcome(waiting, before, since)
		if err != nil {
			return fmt.Errorf("the other consumer stands still as well: %w", err)
		}
		a.timed("the other one goes on", took, patience+lockWait)
		err = a.wait(ctx, lockExpiry+lockExpiry/2-time.Since(since))
		thaw(c)
		return errors.Join(err, a.wait(ctx, 3*time.Second))
	}
}

func playFreeze(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	freeze(a.consumers[0])
	mark, err := a.place.Mark(ctx)
	if err == nil {
		err = a.takenOver(ctx, mark)
	}
	if err != nil {
		return err
	}
	err = a.wait(ctx, 15*time.Second-time.Since(mark.At))
	thaw(a.consumers[0])
	if err == nil {
		err = a.wait(ctx, 3*time.Second)
	}
	if err == nil && !a.consumers[0].Alive() {
		err = errors.New("the consumer that was thawed has ended")
	}
	if err == nil {
		err = a.members(ctx, 2)
	}
	return err
}

func playLateCommit(ctx context.Context, a *act) error {
	c, err := a.start(crashAt(crash.BeforeOffsetCommit, crash.Stop))
	if err != nil {
		return err
	}
	err = a.begin(ctx, 1)
	if err != nil {
		return err
	}
	err = a.frozenAt(ctx, c)
	if err != nil {
		return err
	}
	mark, err := a.place.Mark(ctx)
	if err == nil {
		err = a.takenOver(ctx, mark)
	}
	if err != nil {
		return err
	}
	err = a.wait(ctx, 2*time.Second)
	thaw(c)
	err = errors.Join(err, a.wait(ctx, 3*time.Second))
	if err == nil && a.watching.rewinds > 0 {
		err = fmt.Errorf("%d committed offsets went backwards", a.watching.rewinds)
	}
	return err
}

func playKillLoop(ctx context.Context, a *act) error {
	err := a.begin(ctx, 3)
	if err != nil {
		return err
	}
	const kills = 20
	for i := range kills {
		err = a.wait(ctx, time.Second+time.Duration(i%5)*500*time.Millisecond)
		if err != nil {
			return err
		}
		a.kill(a.alive()[0])
		if _, err = a.start(); err != nil {
			return err
		}
	}
	return nil
}

func playTerminate(ctx context.Context, a *act) error {
	const hands = 3
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	for range hands {
		if _, err = a.start(); err != nil {
			return err
		}
		if err = a.members(ctx, 3); err != nil {
			return err
		}
		leaving := a.alive()[0]
		mark, err := a.place.Mark(ctx)
		if err != nil {
			return err
		}
		stopped := make(chan error, 1)
		go func() { stopped <- leaving.Stop() }()
		err = a.past(ctx, mark, "hand-over", stopGoal)
		err = errors.Join(err, <-stopped)
		if err != nil {
			return err
		}
	}
	return nil
}

func playStorm(ctx context.Context, a *act) error {
	err := a.begin(ctx, 1)
	if err != nil {
		return err
	}
	before, err := a.place.Outcomes(ctx)
	if err != nil {
		return err
	}
	for range 3 {
		for range 3 {
			if _, err = a.start(); err != nil {
				return err
			}
		}
		if err = a.wait(ctx, 5*time.Second); err != nil {
			return err
		}
		for _, c := range a.alive()[1:] {
			err = errors.Join(err, c.Stop())
		}
		if err = errors.Join(err, a.wait(ctx, 5*time.Second)); err != nil {
			return err
		}
	}
	after, err := a.place.Outcomes(ctx)
	a.observe("%d outcomes during the storm, %d assignments", after-before, a.logged("partitions assigned"))
	return err
}

func playPanic(ctx context.Context, a *act) error {
	for _, point := range []crash.Point{crash.InTx, crash.BeforeCommit, crash.AfterCommit} {
		if _, err := a.start(crashAt(point, crash.Panic)); err != nil {
			return err
		}
	}
	err := a.begin(ctx, 0)
	if err != nil {
		return err
	}
	err = a.wait(ctx, 5*time.Second)
	if err == nil && len(a.alive()) != 3 {
		err = fmt.Errorf("of 3 consumers %d have survived a panic", len(a.alive()))
	}
	return err
}

func playStarved(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2, "GOMAXPROCS=1", "GOGC=5", "SESSION_TIMEOUT=10s", "DRAIN_TIMEOUT=5s")
	if err != nil {
		return err
	}
	before := a.logged("partitions assigned")
	busy, stop := context.WithCancel(ctx)
	defer stop()
	for range 4 {
		cmd := exec.CommandContext(busy, "/bin/sh", "-c", "while :; do :; done")
		if err = cmd.Start(); err != nil {
			return fmt.Errorf("start a busy loop: %w", err)
		}
		defer cmd.Wait() //nolint:errcheck // it is killed
	}
	err = a.wait(ctx, 15*time.Second)
	stop()
	lost := a.logged("partitions assigned") - before
	a.observe("%d new assignments", lost)
	if err == nil && lost > 0 {
		err = errors.New("a member lost its session")
	}
	return err
}
