package job_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"orderconsumer/internal/embedded"
	"orderconsumer/internal/job"
	"orderconsumer/internal/lock"
	"orderconsumer/internal/testkit"
)

// childVariable makes this test program an instance that runs a job, so that
// tests can kill it. Its value is an instanceConfig.
const childVariable = "ORDER_TEST_JOBS"

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		var c instanceConfig
		err := json.Unmarshal([]byte(text), &c)
		if err == nil {
			err = c.run(context.Background())
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// The job of these tests writes down its steps, each in a transaction that
// checks the fence as the package's documentation says.
const (
	workName  = "work"
	workSteps = 8
	lateStep  = 99 // what a holder that is one no more would write
	createLog = "CREATE TABLE steps(scheduled_at VARCHAR(32),step INT,fence BIGINT,pid INT)"
	guardRun  = "UPDATE jobs SET beats=beats+1 WHERE job=? AND fence=? AND running=1"
)

// instanceConfig is what an instance is told.
type instanceConfig struct {
	DatabaseURL string
	RedisURLs   []string // none: no lock
	Prefix      string
	Lease       time.Duration
	StepEvery   time.Duration
}

// said is a line that an instance writes.
type said struct {
	What  string // step, refused or ended
	Fence int64
	Error string
}

func say(s said) {
	text, _ := json.Marshal(s)
	fmt.Println(string(text))
}

// run is an instance. It ends by being killed.
func (c instanceConfig) run(ctx context.Context) error {
	l, err := testkit.OpenLedger(ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	db, err := openRaw(c.DatabaseURL)
	if err != nil {
		return err
	}
	everySecond, err := job.ParseSchedule("* * * * * *")
	if err != nil {
		return err
	}
	deps := job.Deps{Records: l, Observer: teller{}, Now: time.Now}
	if len(c.RedisURLs) > 0 {
		clients, err := lock.NewClients(c.RedisURLs, lock.ClientConfig{})
		if err != nil {
			return err
		}
		locker, err := lock.New(clients, lock.Config{Prefix: c.Prefix, Expiry: job.LockExpiry(c.Lease)})
		if err != nil {
			return err
		}
		deps.Locker = setLocker{locker}
	}
	job.NewRunner(job.Config{
		Holder: strconv.Itoa(os.Getpid()), Lease: c.Lease,
		Jobs: []job.Job{{Name: workName, Schedule: everySecond, Do: steps{db, c.StepEvery}.do}},
	}, deps).Run(ctx)
	return errors.New("the runner has ended")
}

// setLocker is the lock as jobs know it.
type setLocker struct{ *lock.Locker }

func (l setLocker) TryLock(ctx context.Context, name string) (job.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	lease, err := l.Lock(ctx, []string{name})
	switch {
	case err == nil:
		return lease, nil
	case errors.Is(err, lock.ErrUnavailable):
		return nil, fmt.Errorf("%w: %w", job.ErrLockUnavailable, err)
	default:
		return nil, fmt.Errorf("%w: %w", job.ErrLocked, err)
	}
}

// steps does the job.
type steps struct {
	db    *sql.DB
	every time.Duration
}

func (s steps) do(ctx context.Context, run job.Run) (string, error) {
	for {
		step, err := s.next(ctx, run)
		if ctx.Err() != nil {
			// What a holder that knows nothing would do: go on. It must be refused.
			err = s.write(context.Background(), run, func(*sql.Tx) (int, error) { return lateStep, nil })
		}
		if errors.Is(err, job.ErrFenced) {
			say(said{What: "refused", Fence: run.Fence, Error: err.Error()})
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if err != nil || step >= workSteps {
			return strconv.Itoa(step), err
		}
		say(said{What: "step", Fence: run.Fence})
		timer := time.NewTimer(s.every)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// next writes down the step that comes after those that are there, or finds that
// all are, and returns their number.
func (s steps) next(ctx context.Context, run job.Run) (done int, err error) {
	err = s.write(ctx, run, func(tx *sql.Tx) (int, error) {
		err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM steps WHERE scheduled_at=?", written(run)).Scan(&done)
		if err == nil && done >= workSteps {
			err = errAllDone
		}
		return done, err
	})
	switch {
	case errors.Is(err, errAllDone):
		return done, nil
	case err != nil:
		return done, err
	default:
		return done + 1, nil
	}
}

var errAllDone = errors.New("no step is left")

// written is a scheduled time in the table of steps.
func written(run job.Run) string { return run.ScheduledAt.Format(time.RFC3339Nano) }

// write writes one step in a transaction that checks the fence last.
func (s steps) write(ctx context.Context, run job.Run, which func(*sql.Tx) (int, error)) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: isolation(s.db)})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	step, err := which(tx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO steps VALUES(?,?,?,?)", written(run), step, run.Fence, os.Getpid())
	if err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, guardRun, []byte(run.Job), run.Fence)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		err = job.ErrFenced
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// isolation is read committed on a server; SQLite has one kind only.
func isolation(db *sql.DB) sql.IsolationLevel {
	if strings.Contains(fmt.Sprintf("%T", db.Driver()), "mysql") {
		return sql.LevelReadCommitted
	}
	return sql.LevelDefault
}

// openRaw opens the database beside the ledger.
func openRaw(target string) (*sql.DB, error) {
	if path, ok := strings.CutPrefix(target, embedded.DatabaseScheme); ok {
		return sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	password, _ := u.User.Password()
	return sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)%s", u.User.Username(), password, u.Host, u.Path))
}

// teller says how runs end.
type teller struct{}

func (teller) JobBegan(job.Run, job.Cause, bool) {}
func (teller) JobSeen(job.Record)                {}
func (teller) JobTrouble(string, error)          {}
func (teller) JobEnded(run job.Run, _ time.Duration, err error) {
	s := said{What: "ended", Fence: run.Fence}
	if err != nil {
		s.Error = err.Error()
	}
	say(s)
}

// instance is an instance in a process of its own.
type instance struct {
	cmd  *exec.Cmd
	said chan said
}

// spawn starts an instance. It is killed with the test.
func (c instanceConfig) spawn(t *testing.T) *instance {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{cmd: exec.Command(exe), said: make(chan said, 10_000)} // more than a test's instance ever says
	i.cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	i.cmd.Stderr = t.Output()
	out, err := i.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var s said
			if json.Unmarshal(lines.Bytes(), &s) == nil {
				i.said <- s
			}
		}
		close(i.said)
		_ = i.cmd.Wait()
	}()
	t.Cleanup(func() { _ = i.cmd.Process.Kill() })
	return i
}

func (i *instance) pid() string { return strconv.Itoa(i.cmd.Process.Pid) }

func (i *instance) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := i.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%s to %d: %v", sig, i.cmd.Process.Pid, err)
	}
}
