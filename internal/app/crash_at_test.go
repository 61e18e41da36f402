package app

import (
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/crash"
)

// TestEveryCrashPoint lets one instance die at each point of the path, half-way
// through a day, and another one end the day.
func TestEveryCrashPoint(t *testing.T) {
	const orders = 600
	for _, point := range crash.Points() {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel() // they mostly wait for a session to time out
			s := newShop(t)
			passing := ":2"
			if point == crash.BeforeOffsetCommit || point == crash.AfterOffsetCommit {
				passing = ":1" // one commit may be all that so few orders take
			}
			day := s.newDay(orders)
			doomed := s.spawn("--crash-at="+string(point)+passing, "--batch-size=50")
			s.awaitMembers(1)
			day.publish(day.events)
			doomed.awaitDeath(t)
			last := s.spawn()
			s.awaitMember(last) // nothing may be left to do, and SIGTERM come before it is heard
			day.awaitLeft(0)
			if err := last.signal(t, syscall.SIGTERM); err != nil {
				t.Errorf("the instance that ended the day: %v", err)
			}
			day.examine()
		})
	}
}

// awaitDeath returns when the process was ended by SIGKILL, and fails the test
// when it ended otherwise: a crash that did not happen proves nothing.
func (p *process) awaitDeath(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.done:
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("process %d ended with %v, want death by SIGKILL", p.cmd.Process.Pid, err)
		}
	case <-time.After(testTimeout):
		t.Fatalf("process %d never came to its crash", p.cmd.Process.Pid)
	}
}

func TestCrashThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	var out, talk strings.Builder
	code := ConsumerProgram{}.Run([]string{"run", "--crash-at=nowhere:1"}, strings.NewReader(""), &out, &talk)
	if code != int(cli.ExitUsage) || !strings.Contains(talk.String(), "after_fetch") {
		t.Errorf("got code %d and %q, want %d and the points there are", code, talk.String(), cli.ExitUsage)
	}
}
