package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// tryOpening is the command that opens a shop.
const tryOpening = "go run ./cmd/demo"

// signpostEnv names another file for the signpost, so that several demos can
// run beside one another.
const signpostEnv = "DEMO_SIGNPOST"

// answerTimeout is how long a demo's Kafka may take to be there. It is on this
// machine.
const answerTimeout = time.Second

// errNoDemo: there is nothing to join.
var errNoDemo = errors.New("no demo runs on this machine")

// whereabouts are where the parts of a running demo are.
type whereabouts struct {
	PID         int       `json:"pid"`
	StartedAt   time.Time `json:"started_at"`
	Brokers     []string  `json:"kafka_brokers"`
	RedisURL    string    `json:"redis_url"`
	DatabaseURL string    `json:"database_url"`
	API         string    `json:"http"`
	Folder      string    `json:"folder"`
}

// sameDemo reports whether both are of one and the same demo.
func (w *whereabouts) sameDemo(other *whereabouts) bool {
	return w.PID == other.PID && w.StartedAt.Equal(other.StartedAt)
}

// signpost is the file that says where the running demo is.
type signpost struct{ path string }

// newSignpost is the signpost at path; empty is the usual one of this user.
// Another user's must not be believed: it would say which servers to join.
func newSignpost(path string) signpost {
	if path == "" {
		path = os.Getenv(signpostEnv)
	}
	if path == "" {
		folder, err := os.UserCacheDir()
		if err != nil { // no home: a name of our own in the common folder
			folder = filepath.Join(os.TempDir(), "order-consumer-"+strconv.Itoa(os.Getuid()))
		}
		path = filepath.Join(folder, "order-consumer", "demo.json")
	}
	return signpost{path: path}
}

// put writes the file, whole or not at all: somebody may be reading it.
func (s signpost) put(w *whereabouts) error {
	text, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return fmt.Errorf("write signpost: %w", err)
	}
	err = os.MkdirAll(filepath.Dir(s.path), 0o700)
	if err != nil {
		return fmt.Errorf("make a folder for the signpost: %w", err)
	}
	draft := s.path + "." + strconv.Itoa(w.PID)
	err = os.WriteFile(draft, append(text, '\n'), 0o600)
	if err != nil {
		return fmt.Errorf("write signpost: %w", err)
	}
	err = os.Rename(draft, s.path)
	if err != nil {
		return fmt.Errorf("write signpost: %w", err)
	}
	return nil
}

// take removes the file if it is w's.
func (s signpost) take(w *whereabouts) error {
	there, err := s.read()
	if err != nil || !there.sameDemo(w) {
		return nil //nolint:nilerr // there is nothing of ours to remove
	}
	err = os.Remove(s.path)
	if err != nil {
		return fmt.Errorf("remove signpost: %w", err)
	}
	return nil
}

// read returns what the file says, whether or not it is still true.
func (s signpost) read() (*whereabouts, error) {
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoDemo
	}
	if err != nil {
		return nil, fmt.Errorf("read signpost: %w", err)
	}
	var w whereabouts
	err = json.Unmarshal(text, &w)
	if err != nil || w.PID <= 0 || len(w.Brokers) == 0 {
		return nil, fmt.Errorf("%w: %s does not say where one is", errNoDemo, s.path)
	}
	return &w, nil
}

// find returns where the running demo is, or an error that wraps errNoDemo. A
// demo that was killed leaves its signpost behind; its process is gone.
func (s signpost) find() (*whereabouts, error) {
	w, err := s.read()
	if err != nil {
		return nil, err
	}
	if !alive(w.PID) {
		return nil, fmt.Errorf("%w: the last one (process %d) has ended without saying so", errNoDemo, w.PID)
	}
	conn, err := net.DialTimeout("tcp", w.Brokers[0], answerTimeout)
	if err != nil {
		return nil, fmt.Errorf("%w: the last one's Kafka does not answer: %w", errNoDemo, err)
	}
	_ = conn.Close() // nothing was said on it
	return w, nil
}

// alive reports whether there is such a process.
func alive(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	if runtime.GOOS == "windows" { // there, FindProcess has looked
		return true
	}
	err = process.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, syscall.EPERM)
}
