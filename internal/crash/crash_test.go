package crash_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"orderconsumer/internal/crash"
)

// childVariable makes this test program pass points until it is dead.
const childVariable = "ORDER_TEST_CRASH"

func TestMain(m *testing.M) {
	if plan := os.Getenv(childVariable); plan != "" {
		pass(plan)
	}
	os.Exit(m.Run())
}

// pass goes by every point five times, saying so.
func pass(text string) {
	plan, err := crash.Parse(text)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	hook := plan.Hook()
	for range 5 {
		for _, point := range crash.Points() {
			hook.At(point)
			fmt.Println(point)
		}
	}
	os.Exit(0)
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]crash.Plan{
		"":                    {},
		"after_fetch:1":       {Point: crash.AfterFetch, Passing: 1, Deed: crash.Kill},
		"in_tx:12:stop":       {Point: crash.InTx, Passing: 12, Deed: crash.Stop},
		"after_commit:3:kill": {Point: crash.AfterCommit, Passing: 3, Deed: crash.Kill},
	} {
		got, err := crash.Parse(text)
		if err != nil || got != want {
			t.Errorf("%q: got %+v and %v, want %+v", text, got, err, want)
		}
		again, err := crash.Parse(got.String())
		if err != nil || again != got {
			t.Errorf("%q: written as %q it reads %+v and %v", text, got, again, err)
		}
	}
	for _, text := range []string{":", "after_fetch", "after_fetch:", "after_fetch:0", "after_fetch:-1", "after_fetch:x",
		"nowhere:1", "after_fetch:1:laugh", "after_fetch:1:kill:2", "after_fetch:1:"} {
		_, err := crash.Parse(text)
		if !errors.Is(err, crash.ErrPlan) {
			t.Errorf("%q: got %v, want %v", text, err, crash.ErrPlan)
		}
	}
}

func TestNoPlanIsNoHook(t *testing.T) {
	t.Parallel()
	if hook := (crash.Plan{}).Hook(); hook != nil {
		t.Error("nothing is planned, and there is a hook")
	}
	crash.Hook(nil).At(crash.InTx)
}

func TestThePlannedPassingPanicsAndNoOther(t *testing.T) {
	t.Parallel()
	const passings, planned = 40, 17
	hook := crash.Plan{Point: crash.InTx, Passing: planned, Deed: crash.Panic}.Hook()
	var panicked, passed int
	var mu sync.Mutex
	var passing sync.WaitGroup
	for range passings {
		passing.Go(func() {
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				if recover() != nil {
					panicked++
				} else {
					passed++
				}
			}()
			hook.At(crash.AfterFetch) // another point does not count
			hook.At(crash.InTx)
		})
	}
	passing.Wait()
	if panicked != 1 || passed != passings-1 {
		t.Errorf("%d passings panicked, %d went by, want 1 and %d", panicked, passed, passings-1)
	}
}

// child runs this program with a plan.
func child(t *testing.T, plan string) (*exec.Cmd, io.Reader) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childVariable+"="+plan)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

func TestKillEndsTheProcessAtThePoint(t *testing.T) {
	t.Parallel()
	cmd, out := child(t, "in_tx:2")
	text, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("got %v, want death by SIGKILL", err)
	}
	want := ""
	for _, point := range append(crash.Points(), crash.AfterFetch, crash.AfterLock) {
		want += string(point) + "\n"
	}
	if string(text) != want {
		t.Errorf("it went by\n%swant\n%s", text, want)
	}
}

func TestStopFreezesTheProcessUntilItMayGoOn(t *testing.T) {
	t.Parallel()
	cmd, out := child(t, "after_fetch:2:stop")
	var status syscall.WaitStatus
	_, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
	if err != nil || !status.Stopped() {
		t.Fatalf("got %v and %v, want a stopped process", status, err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		lines++
	}
	if want := 5 * len(crash.Points()); lines != want {
		t.Errorf("it went by %d points, want %d", lines, want)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
