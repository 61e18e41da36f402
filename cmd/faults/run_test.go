package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orderconsumer/internal/cli"
)

// TestARunThatPlaysNothingFails: who asks for rows, of which the machine lets none be
// played, is not told that all is well.
func TestARunThatPlaysNothingFails(t *testing.T) {
	t.Parallel()
	servers := filepath.Join(t.TempDir(), "servers")
	if err := os.WriteFile(servers, []byte("#!/bin/sh\necho no loop devices >&2; exit 1\n"), 0o755); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	for _, c := range []struct {
		rows []string
		code cli.Exit
		says string
	}{
		{[]string{"disk-full"}, cli.ExitFailed, "no loop devices"},
		{[]string{"disk-full", "disk-full-mariadb"}, cli.ExitFailed, "row disk-full-mariadb: this machine does not let it be played"},
		{[]string{"46", "51"}, cli.ExitFailed, "soak"},
		{[]string{"--at-once=2", "disk-full"}, cli.ExitUsage, "once at a time"},
	} {
		var stdout, stderr bytes.Buffer
		p := cli.Program{Name: "faults", Help: help, Commands: &commands{}}
		args := append([]string{"run", "--servers", servers, "--database-url", "mysql://orders:orders@127.0.0.1:1/orders", "--logs", t.TempDir()}, c.rows...)
		got := p.Run(args, cli.Streams{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr})
		if got != int(c.code) || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%s: exit %d and %s; want %d and %q", c.rows, got, &stderr, c.code, c.says)
		}
	}
}
