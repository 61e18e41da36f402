package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"orderconsumer/internal/cli"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testTimeout ends a test that waits for something that does not come.
const testTimeout = 90 * time.Second

// visitor is who calls the demo, without a terminal.
type visitor struct {
	abort  context.Context //nolint:containedctx // the session has it
	stdout bytes.Buffer    // to be read when the command has returned

	mu   sync.Mutex
	said []string
	news chan struct{} // has something when more was said
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return &visitor{abort: ctx, news: make(chan struct{}, 1)}
}

func (v *visitor) session() *cli.Session {
	return &cli.Session{Name: "demo", Stdin: strings.NewReader(""), Stdout: &v.stdout, Stderr: cli.NewTalker(v), Abort: v.abort}
}

// Write implements io.Writer for standard error.
func (v *visitor) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.said = append(v.said, string(p))
	select {
	case v.news <- struct{}{}:
	default:
	}
	return len(p), nil
}

// text is all that was said.
func (v *visitor) text() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.said, "")
}

// await waits until something was said.
func (v *visitor) await(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(v.text(), text) {
		select {
		case <-v.news:
		case <-v.abort.Done():
			t.Fatalf("nobody said %q, but only:\n%s", text, v.text())
		}
	}
}

// testWorld is a world that ends with the test and leaves nothing behind.
func testWorld(t *testing.T, p ports) *world {
	t.Helper()
	w, err := openWorld(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.close()
		err := os.RemoveAll(w.Folder)
		if err != nil {
			t.Error(err)
		}
	})
	return w
}

// eventually asks again and again until the answer is yes.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	late := time.After(testTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ask() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// called is what a command line came to.
type called struct {
	code           int
	stdout, stderr string
}

// call carries out a command line in this process.
func call(args ...string) called {
	var stdout, stderr bytes.Buffer
	code := run(args, strings.NewReader(""), &stdout, &stderr)
	return called{code: code, stdout: stdout.String(), stderr: stderr.String()}
}
