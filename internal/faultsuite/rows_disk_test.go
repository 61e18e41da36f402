package faultsuite

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orderconsumer/internal/drill"
)

// scripted is a suite whose servers are a shell script.
func scripted(t *testing.T, text string) *Suite {
	t.Helper()
	name := filepath.Join(t.TempDir(), "servers")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text), 0o755); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	return &Suite{Config: Config{Servers: &Servers{Script: name, Folder: t.TempDir()}}}
}

// TestARowWhoseDiskCannotBeMounted says why it is not played.
func TestARowWhoseDiskCannotBeMounted(t *testing.T) {
	t.Parallel()
	script := func(text string) *Suite { return scripted(t, text) }
	disk, err := Choose([]string{"disk-full"})
	if err != nil {
		t.Fatal(err)
	}
	err = script(`[ "$1" = mountable ] && echo no loop devices >&2; exit 1`).Check(t.Context(), disk[0])
	if !errors.Is(err, ErrNotHere) || !strings.Contains(err.Error(), "no loop devices") {
		t.Errorf("got %v, want %v and why", err, ErrNotHere)
	}
	if err = script("exit 0").Check(t.Context(), disk[0]); err != nil {
		t.Errorf("got %v where it can be mounted", err)
	}
	other, err := Choose([]string{"read-only"})
	if err != nil {
		t.Fatal(err)
	}
	if err = script("exit 1").Check(t.Context(), other[0]); err != nil {
		t.Errorf("got %v for a row that needs no disk", err)
	}
}

// TestARowWithADiskIsPlayedAlone: two playings would fill the same disk.
func TestARowWithADiskIsPlayedAlone(t *testing.T) {
	t.Parallel()
	rows, err := Choose([]string{"disk-full", "read-only"})
	if err != nil {
		t.Fatal(err)
	}
	s := scripted(t, "exit 0")
	s.AtOnce = 2
	if err = s.Check(t.Context(), rows[0]); !errors.Is(err, ErrAlone) || errors.Is(err, ErrNotHere) {
		t.Errorf("twice at once: got %v, want %v", err, ErrAlone)
	}
	if err = s.Check(t.Context(), rows[1]); err != nil {
		t.Errorf("a row without a disk, twice at once: got %v", err)
	}
	s.AtOnce = 1
	if err = s.Check(t.Context(), rows[0]); err != nil {
		t.Errorf("once: got %v", err)
	}
}

// TestARowWithADiskBeginsAnew holds that nothing of a suite that was killed is used.
func TestARowWithADiskBeginsAnew(t *testing.T) {
	t.Parallel()
	rows, err := Choose([]string{"disk-full"})
	if err != nil {
		t.Fatal(err)
	}
	s := scripted(t, `echo "$@" >>"$ORDER_SERVERS_DIR/asked"; [ "$1" != up ]`)
	if r := s.Play(t.Context(), rows[0]); r.Error == "" {
		t.Error("a server that does not come up is no error")
	}
	asked, err := os.ReadFile(filepath.Join(s.Servers.Folder, "asked"))
	if want := "down --purge mysql2\nup mysql2\ndown --purge mysql2\n"; err != nil || string(asked) != want {
		t.Errorf("the servers were asked for %q, want %q (%v)", asked, want, err)
	}
}

func TestWhatConsumersWereTold(t *testing.T) {
	t.Parallel()
	a := &act{logs: filepath.Join(t.TempDir(), "row"), consumers: make([]*drill.Consumer, 3)}
	if got := a.told(); got != "no error number" {
		t.Errorf("without logs: %s", got)
	}
	for name, text := range map[string]string{
		"-01.log": "Error 1114 (HY000): The table is full\nError 3 (HY000): Error writing file\n",
		"-02.log": "Error 3 (HY000): Error writing file\nError in sight\n",
	} {
		if err := os.WriteFile(a.logs+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := a.told(), "error 1114, 3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadinessHasToBeRed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		text   string
		red    bool
	}{
		{http.StatusServiceUnavailable, "[-]work: paused by database: disk full", true},
		{http.StatusServiceUnavailable, "[+]database ok\n[-]group: not joined", false},
		{http.StatusOK, "[+]work: paused by database", false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.text))
		}))
		err := saysDown(t.Context(), strings.TrimPrefix(server.URL, "http://"))
		server.Close()
		if (err == nil) != c.red {
			t.Errorf("%d, %q: got %v", c.status, c.text, err)
		}
	}
}
