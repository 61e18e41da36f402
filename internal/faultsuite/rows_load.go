package faultsuite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"orderconsumer/internal/faultproxy"
)

// loadRows take away time and room, and break nothing.
func loadRows() []Row {
	return []Row{
		{Number: 15, Name: "slow-everything", Fault: "brokers, Redis and database all 20 to 120 ms away each way for 15 s, then 200 to 600 ms for 15 s, changing",
			Expect: "slower; no member is taken for dead, and what is slow is no reason for a retry", play: playSlowEverything},
		{Number: 45, Name: "database-away-2m", Fault: "MySQL away for two minutes under load", Expect: "work stands still: no flood of retries",
			play: playDatabaseAway},
		{Number: 49, Name: "few-files", Fault: "ulimit -n 40 for two instances", Expect: "works; nothing is lost", play: playFewFiles},
		{Number: 49, Name: "too-few-files", Fault: "ulimit -n 40 for one instance with 120 partitions to itself, and one with ulimit -n 12",
			Expect: "both say what they lack before they begin; the first goes on; nothing is lost", play: playTooFewFiles, setting: setting{partitions: 30}},
	}
}

// slowChange is how often the delays change.
const slowChange = 500 * time.Millisecond

func playSlowEverything(ctx context.Context, a *act) error {
	var ways []*faultproxy.Proxy
	for _, kind := range []string{"kafka", "redis", "database"} {
		proxies, err := a.through(kind, nil)
		if err != nil {
			return err
		}
		ways = append(ways, proxies...)
	}
	err := a.begin(ctx, 2, "SESSION_TIMEOUT=10s", "DRAIN_TIMEOUT=5s")
	if err != nil {
		return err
	}
	assigned := a.logged("partitions assigned")
	retried, err := a.retries(ctx)
	if err != nil {
		return err
	}
	for _, phase := range []struct{ least, most time.Duration }{{20 * time.Millisecond, 120 * time.Millisecond}, {200 * time.Millisecond, 600 * time.Millisecond}} {
		before, err := a.place.Outcomes(ctx)
		if err != nil {
			return err
		}
		for range 30 {
			for _, p := range ways {
				p.SetDelay(phase.least + rand.N(phase.most-phase.least))
			}
			if err = a.wait(ctx, slowChange); err != nil {
				return err
			}
		}
		after, err := a.place.Outcomes(ctx)
		if err != nil {
			return err
		}
		a.observe("%s to %s: %d outcomes in %s", phase.least, phase.most, after-before, 30*slowChange)
		if after == before {
			return errors.New("nothing was settled")
		}
	}
	if again := a.logged("partitions assigned") - assigned; again > 0 {
		return fmt.Errorf("%d new assignments: a member was taken for dead", again)
	}
	return a.noFlood(ctx, retried)
}

func playDatabaseAway(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	sent := a.load.Sent()
	err = a.databaseAway(ctx, 2*time.Minute)
	a.observe("%d events came in meanwhile", a.load.Sent()-sent)
	return err
}

// fewFiles starts a consumer that may have so many files open.
func (a *act) fewFiles(most int) error {
	_, err := a.startBy("/bin/sh", []string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" run`, most), a.Consumer})
	return err
}

// complaint is what the system says of a process that wants one file too many.
const complaint = "too many open files"

func playFewFiles(ctx context.Context, a *act) error {
	for range 2 {
		if err := a.fewFiles(40); err != nil {
			return err
		}
	}
	err := a.begin(ctx, 0)
	if err != nil {
		return err
	}
	err = a.wait(ctx, 10*time.Second)
	a.observe("%d complaints about open files", a.logged(complaint))
	if err == nil && len(a.alive()) != 2 {
		err = fmt.Errorf("of 2 consumers %d are left", len(a.alive()))
	}
	return err
}

func playTooFewFiles(ctx context.Context, a *act) error {
	err := a.fewFiles(40)
	if err == nil {
		err = a.begin(ctx, 0)
	}
	if err == nil {
		err = a.fewFiles(12)
	}
	if err != nil {
		return err
	}
	before, err := a.place.Outcomes(ctx)
	if err == nil {
		err = a.wait(ctx, 10*time.Second)
	}
	if err != nil {
		return err
	}
	after, err := a.place.Outcomes(ctx)
	if err != nil {
		return err
	}
	a.observe("%d outcomes of the first in 10s", after-before)
	if after == before {
		return errors.New("nothing was settled")
	}
	warned, refused := a.logged(`"check":"open files"`), a.logged("[fail] open files: this process may have 12 open")
	a.observe("%d warned and %d refused to start; %d complaints about open files; %d of 2 run", warned, refused, a.logged(complaint), len(a.alive()))
	if warned != 1 || refused != 1 {
		return errors.New("it was not said that files are lacking")
	}
	// With all the files it wants another one does what was left.
	_, err = a.start()
	return err
}
