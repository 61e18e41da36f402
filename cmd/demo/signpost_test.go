package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/cli"
)

// somewhere is a demo of this process whose Kafka answers.
func somewhere(t *testing.T) *whereabouts {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &whereabouts{PID: os.Getpid(), StartedAt: time.Now().UTC(), Brokers: []string{l.Addr().String()}}
}

// ended is the id of a process that there was.
func ended(t *testing.T) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	err := cmd.Run()
	if err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func TestSignpost(t *testing.T) {
	t.Parallel()
	at := func(t *testing.T) signpost {
		return newSignpost(filepath.Join(t.TempDir(), "new", "demo.json"))
	}
	put := func(t *testing.T, s signpost, w *whereabouts) {
		t.Helper()
		if err := s.put(w); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("a running demo is found", func(t *testing.T) {
		t.Parallel()
		s, w := at(t), somewhere(t)
		put(t, s, w)
		got, err := s.find()
		if err != nil || !got.sameDemo(w) || got.Brokers[0] != w.Brokers[0] {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("where none has been, none is found", func(t *testing.T) {
		t.Parallel()
		_, err := at(t).find()
		if !errors.Is(err, errNoDemo) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a demo that was killed is not found", func(t *testing.T) {
		t.Parallel()
		s, w := at(t), somewhere(t)
		w.PID = ended(t)
		put(t, s, w)
		_, err := s.find()
		if !errors.Is(err, errNoDemo) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a demo whose Kafka has gone is not found", func(t *testing.T) {
		t.Parallel()
		s, w := at(t), somewhere(t)
		w.Brokers = []string{"127.0.0.1:1"}
		put(t, s, w)
		_, err := s.find()
		if !errors.Is(err, errNoDemo) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a file that says nothing is no demo", func(t *testing.T) {
		t.Parallel()
		s := at(t)
		put(t, s, somewhere(t))
		err := os.WriteFile(s.path, []byte("{}"), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.find()
		if !errors.Is(err, errNoDemo) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a demo takes away its own and no other", func(t *testing.T) {
		t.Parallel()
		s, mine, other := at(t), somewhere(t), somewhere(t)
		put(t, s, other)
		if err := s.take(mine); err != nil {
			t.Error(err)
		}
		if _, err := s.find(); err != nil {
			t.Errorf("the other demo's signpost is gone: %v", err)
		}
		if err := s.take(other); err != nil {
			t.Error(err)
		}
		if _, err := s.find(); !errors.Is(err, errNoDemo) {
			t.Errorf("our own is still there: %v", err)
		}
	})
}

func TestCommandsThatNeedARunningDemo(t *testing.T) {
	t.Setenv(signpostEnv, filepath.Join(t.TempDir(), "demo.json"))
	for _, args := range [][]string{{"join"}, {"audit"}, {"stock", "list"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			got := call(args...)
			want := "demo: no demo runs on this machine\n  try: go run ./cmd/demo\n"
			if got.code != int(cli.ExitUnreachable) || got.stderr != want {
				t.Errorf("got %+v", got)
			}
		})
	}
}
