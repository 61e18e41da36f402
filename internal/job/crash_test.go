package job_test

import (
	"context"
	"database/sql"
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"orderconsumer/internal/job"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/testkit"
)

// kills is how often a holder is killed: go test ./internal/job -run Kill -kills 200.
var kills = flag.Int("kills", 4, "how many holders of a job are killed")

const (
	// testLease leaves a machine on which other tests run the time to answer.
	testLease = 3 * time.Second
	// patience ends a test that waits for what does not come.
	patience = 60 * time.Second
	// hold is how late a takeover may be seen on a machine that is busy with other
	// tests. TestAKilledHolderIsReplacedWithinALease is exact about the lease.
	hold     = 10 * time.Second
	lookEach = 5 * time.Millisecond
)

// plant is one test's instances and what they work on.
type plant struct {
	t      *testing.T
	config instanceConfig
	ledger *ledger.Ledger
	db     *sql.DB
	alive  map[string]*instance
}

func newPlant(t *testing.T, change ...func(*instanceConfig)) *plant {
	t.Helper()
	s := testkit.Start(t)
	p := &plant{t: t, ledger: s.OpenLedger(t), alive: make(map[string]*instance), config: instanceConfig{
		DatabaseURL: s.DatabaseURL, RedisURLs: s.RedisURLs, Prefix: testkit.Unique("lock") + ":",
		Lease: testLease, StepEvery: 25 * time.Millisecond,
	}}
	for _, c := range change {
		c(&p.config)
	}
	var err error
	p.db, err = openRaw(s.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.db.Close() })
	if _, err := p.db.ExecContext(t.Context(), createLog); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *plant) spawn() {
	i := p.config.spawn(p.t)
	p.alive[i.pid()] = i
}

// await looks at the job until it is as it should be.
func (p *plant) await(what string, ok func(job.Status) bool) job.Status {
	p.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(lookEach)
	defer tick.Stop()
	for {
		s, err := p.ledger.Status(p.t.Context(), workName)
		if err != nil {
			p.t.Fatal(err)
		}
		if ok(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-deadline:
			p.t.Fatalf("not seen within %s: %s; the job is %+v", patience, what, s)
		}
	}
}

// awaitHolder returns when an instance is in the middle of a run.
func (p *plant) awaitHolder(beats int64) (job.Status, *instance) {
	p.t.Helper()
	s := p.await("an instance at work", func(s job.Status) bool {
		return s.Running && s.Beats >= beats && s.Beats < workSteps-1 && p.alive[s.Holder] != nil
	})
	return s, p.alive[s.Holder]
}

// TestKilledHoldersAreReplaced: whoever runs the job is killed, again and again.
// Another goes on soon, and in the end no scheduled time has run twice:
// each has one record, and each step of it was done once, by fences that only
// grow.
func TestKilledHoldersAreReplaced(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*instanceConfig){
		"with the lock":                 func(*instanceConfig) {},
		"by the database's fence alone": func(c *instanceConfig) { c.RedisURLs = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, change)
			for range 3 {
				p.spawn()
			}
			var took []time.Duration
			for range *kills {
				s, holder := p.awaitHolder(rand.Int64N(workSteps - 1))
				holder.signal(t, syscall.SIGKILL)
				killed := time.Now()
				delete(p.alive, holder.pid())
				p.spawn()
				// It may have ended its run just before, or the one after it may have begun.
				next := p.await("another at work", func(now job.Status) bool { return now.Fence > s.Fence || !now.Running })
				if next.Running {
					took = append(took, time.Since(killed))
				}
			}
			slices.Sort(took)
			if len(took) == 0 || took[len(took)-1] > testLease+hold {
				t.Errorf("%d of %d were replaced, the slowest of %v; want it within %s", len(took), *kills, took, testLease+hold)
			} else {
				t.Logf("%d holders killed in the middle of a run, replaced within %s (median) and %s (most) of a lease of %s",
					len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), testLease)
			}
			p.settle()
			p.examine()
		})
	}
}

// settle ends all instances when the job is at rest.
func (p *plant) settle() {
	p.t.Helper()
	for _, i := range p.alive {
		i.signal(p.t, syscall.SIGSTOP)
	}
	s := p.await("a look", func(job.Status) bool { return true })
	for _, i := range p.alive {
		i.signal(p.t, syscall.SIGKILL)
	}
	p.t.Logf("in the end the job is %+v", s)
}

// examine holds the steps that were done against the records.
func (p *plant) examine() {
	p.t.Helper()
	runs, err := p.ledger.Runs(p.t.Context(), workName, 100_000)
	if err != nil {
		p.t.Fatal(err)
	}
	steps := make(map[string][]int64) // fences by scheduled time, in the order of the steps
	rows, err := p.db.QueryContext(p.t.Context(), "SELECT scheduled_at,step,fence FROM steps ORDER BY scheduled_at,step,fence")
	if err != nil {
		p.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var at string
		var step int
		var fence int64
		if err := rows.Scan(&at, &step, &fence); err != nil {
			p.t.Fatal(err)
		}
		if step != len(steps[at]) {
			p.t.Errorf("step %d of %s by fence %d comes after %v: twice, or not in order", step, at, fence, steps[at])
		}
		if before := steps[at]; len(before) > 0 && before[len(before)-1] > fence {
			p.t.Errorf("step %d of %s by fence %d, after one of fence %d", step, at, fence, before[len(before)-1])
		}
		steps[at] = append(steps[at], fence)
	}
	if err := rows.Err(); err != nil {
		p.t.Fatal(err)
	}
	count := make(map[job.State]int)
	crashes := 0
	for _, r := range runs {
		at := r.ScheduledAt.Format(time.RFC3339Nano)
		count[r.State]++
		crashes += r.Crashes
		if r.State == job.Done && len(steps[at]) != workSteps {
			p.t.Errorf("run of %s is done with %d steps of %d", at, len(steps[at]), workSteps)
		}
		delete(steps, at)
	}
	if len(steps) > 0 {
		p.t.Errorf("steps of times without a record: %v", steps)
	}
	p.t.Logf("%d scheduled times: %v; %d takeovers", len(runs), count, crashes)
}

// pauseHolder stops whoever runs the job in the middle of a run, but not inside a
// transaction: a process that is stopped there keeps its locks, and on SQLite that is
// the whole database. One that was, or whose run has ended meanwhile, goes on, and the
// next moment is tried.
func (p *plant) pauseHolder() (job.Status, *instance) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		s, holder := p.awaitHolder(1)
		holder.signal(p.t, syscall.SIGSTOP)
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
		result, err := p.db.ExecContext(ctx, guardRun, []byte(workName), s.Fence)
		cancel()
		if err == nil {
			if n, err := result.RowsAffected(); n == 1 && err == nil {
				return s, holder
			}
		}
		holder.signal(p.t, syscall.SIGCONT)
	}
	p.t.Fatalf("no holder was stopped between two transactions within %s", patience)
	return job.Status{}, nil
}

// TestPausedHolderStopsByItself: a holder that was stopped for longer than its
// lease wakes up, is told so, and can change nothing any more.
func TestPausedHolderStopsByItself(t *testing.T) {
	t.Parallel()
	// Long pauses between steps: see pauseHolder.
	p := newPlant(t, func(c *instanceConfig) { c.StepEvery = 250 * time.Millisecond })
	for range 2 {
		p.spawn()
	}
	s, holder := p.pauseHolder()
	stopped := time.Now()
	next := p.await("another at work", func(now job.Status) bool { return now.Fence > s.Fence })
	took := time.Since(stopped)
	if took > testLease+hold || next.Holder == holder.pid() {
		t.Errorf("replaced by %s after %s, want another than %s within %s", next.Holder, took, holder.pid(), testLease+hold)
	}
	holder.signal(t, syscall.SIGCONT)
	var refused, ended string
	deadline := time.After(patience)
	for ended == "" {
		select {
		case line := <-holder.said:
			switch {
			case line.Fence != s.Fence:
			case line.What == "refused":
				refused = line.Error
			case line.What == "ended":
				ended = line.Error
			}
		case <-deadline:
			t.Fatal("the holder that was paused does not end its run")
		}
	}
	if !strings.Contains(refused, job.ErrFenced.Error()) {
		t.Errorf("what it wrote afterwards was not refused: %q", refused)
	}
	t.Logf("replaced after %s; awake again it was refused (%s) and ended its run: %s", took.Round(time.Millisecond), refused, ended)
	p.settle()
	p.examine()
}
