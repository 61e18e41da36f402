package faultsuite

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRowsCoverTheMatrix(t *testing.T) {
	t.Parallel()
	const matrix = 51
	covered, names := make(map[int]bool), make(map[string]bool)
	for _, row := range Rows() {
		covered[row.Number] = true
		if names[row.Name] {
			t.Errorf("two rows are called %s", row.Name)
		}
		names[row.Name] = true
		if (row.play == nil) == (row.Elsewhere == "") {
			t.Errorf("row %s is played and not played, or neither", row.Name)
		}
		if row.Short && (row.Long || row.Elsewhere != "" || row.Brokers > 1) {
			t.Errorf("row %s cannot be played before a change lands", row.Name)
		}
	}
	for n := 1; n <= matrix; n++ {
		if !covered[n] {
			t.Errorf("row %d of the matrix is neither played nor said to be elsewhere", n)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	rows, err := Choose([]string{"12", "terminate"})
	if err != nil || len(rows) != 3 || rows[2].Name != "terminate" {
		t.Errorf("got %v and %v, want both rows of number 12 and one by name", rows, err)
	}
	_, err = Choose([]string{"laugh"})
	if !errors.Is(err, ErrNoSuchRow) {
		t.Errorf("got %v, want %v", err, ErrNoSuchRow)
	}
}

func TestRequestsAreRecognised(t *testing.T) {
	t.Parallel()
	commit := []byte{7, 0, 0, 0, 3, 'C', 'O', 'M', 'M', 'I', 'T'}
	if !isCommit(commit) || isCommit(append(commit, ' ')) || isCommit([]byte("\x07\x00\x00\x00\x02COMMIT")) || isCommit(nil) {
		t.Error("COMMIT is not told from other packets")
	}
	produce := []byte{0, 0, 0, 20, 0, keyProduce, 0, 7, 0}
	if !isRequest(produce, keyProduce) || isRequest(produce, keyOffsetCommit) || isRequest(produce[:4], keyProduce) {
		t.Error("a produce request is not told from others")
	}
}

func TestPageTellsWhatIsBroken(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	var page strings.Builder
	err := Page(&page, []Result{
		{Number: 9, Row: "terminate", At: at, Orders: 10, Events: 11, Kills: 1, Lost: 3, Wrong: 3, Findings: []string{"order 7 is gone"}},
		{Number: 9, Row: "terminate", At: at.Add(time.Hour), Orders: 20, Events: 22, Timings: []Timing{
			{What: "hand-over", Took: 3 * time.Second, Goal: 2 * time.Second}, {What: "hand-over", Took: time.Second, Goal: 2 * time.Second},
		}},
		{Number: 12, Row: "kill-broker", At: at, Error: "void: nothing\nhappened"},
		{Number: 51, Row: "soak", At: at, Orders: 500, Events: 600},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"4 rows played", "530 orders (633 events), 1 consumers killed", "not seen. Of these orders 500 are from `soak`, which has no fault.\n\n| #", "3 lost",
		"hand-over 3.0 s (goal 2 s) (slowest of 2) |  | kept |", "void: nothing; happened | FAILED |", "not played",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestServersAreSignalled holds that a process is found by what scripts/servers
// has noted, and that nobody else is who has its number by now.
func TestServersAreSignalled(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "while :; do sleep 1; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	s := &Servers{Folder: folder}
	note := func(born string) {
		text := fmt.Appendf(nil, "%d %s\n", cmd.Process.Pid, born)
		if err := os.MkdirAll(filepath.Join(folder, "redis"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "redis", "pid"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	note("1")
	if err := s.Freeze("redis"); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("got %v for a process that was born at another time, want %v", err, os.ErrProcessDone)
	}
	note(statFields(cmd.Process.Pid)[19])
	if err := s.Freeze("redis"); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	_, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
	if err != nil || !status.Stopped() || !frozen(cmd.Process.Pid) {
		t.Errorf("got %v and %v, want a frozen process", status, err)
	}
	if err := s.Thaw("redis"); err != nil {
		t.Error(err)
	}
	if err := s.signal("redis", syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed
}
