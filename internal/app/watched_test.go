package app

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"orderconsumer/internal/testkit"
)

// watchedConsumer is a consumer in a process of its own, of which everything is
// looked at that others can see.
type watchedConsumer struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	done chan error
	said bytes.Buffer // to be read when the process has ended
}

// watchConsumer starts one and returns when it is ready.
func watchConsumer(t *testing.T, args, environment []string) *watchedConsumer {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &watchedConsumer{t: t, addr: fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t)), done: make(chan error, 1)}
	w.cmd = exec.Command(exe, append([]string{"run", "--log-level=debug", "--log-format=json", "--http=" + w.addr}, args...)...)
	w.cmd.Env = append(append(os.Environ(), childVariable+"=1"), environment...)
	w.cmd.Stdout, w.cmd.Stderr = &w.said, &w.said
	err = w.cmd.Start()
	if err != nil {
		t.Fatal(err)
	}
	go func() { w.done <- w.cmd.Wait() }()
	t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	w.awaitReady()
	return w
}

func (w *watchedConsumer) awaitReady() {
	w.t.Helper()
	deadline := time.NewTimer(testTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		response, err := http.Get("http://" + w.addr + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-w.done:
			w.t.Fatalf("the consumer ended: %v\n%s", err, w.said.String())
		case <-deadline.C:
			w.t.Fatal("the consumer does not become ready")
		case <-tick.C:
		}
	}
}

// get asks the consumer, whatever the status of its answer.
func (w *watchedConsumer) get(path string) string {
	w.t.Helper()
	response, err := http.Get("http://" + w.addr + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("%s: %d %v\n%s", path, response.StatusCode, response.Header, body)
}

// await asks until the answer has the part: the cache follows commits, it is not
// one with them.
func (w *watchedConsumer) await(path, part string) {
	w.t.Helper()
	deadline := time.NewTimer(testTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got := w.get(path)
		if strings.Contains(got, part) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			w.t.Fatalf("lacks %q: %s", part, got)
		}
	}
}

// everything is what the process shows while it runs: its arguments, as they stand
// in the list of processes, and all routes there are.
func (w *watchedConsumer) everything() string {
	w.t.Helper()
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.cmd.Process.Pid))
	if err != nil && runtime.GOOS == "linux" { // elsewhere the list of processes is not read like a file
		w.t.Fatal(err)
	}
	var seen strings.Builder
	seen.Write(arguments)
	for _, path := range []string{
		"/livez?verbose", "/readyz?verbose", "/healthz?verbose", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline",
		"/debug/pprof/heap?debug=1", "/debug/pprof/goroutine?debug=2", "/debug/vars", "/",
	} {
		seen.WriteString(w.get(path))
	}
	return seen.String()
}

// end stops the process and returns what it has written.
func (w *watchedConsumer) end() string {
	w.t.Helper()
	err := w.cmd.Process.Signal(syscall.SIGTERM)
	if err != nil {
		w.t.Fatal(err)
	}
	select {
	case err = <-w.done:
		if err != nil {
			w.t.Errorf("the consumer ended with %v", err)
		}
	case <-time.After(testTimeout):
		w.t.Fatal("the consumer does not end")
	}
	return w.said.String()
}
