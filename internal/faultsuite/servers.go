package faultsuite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Servers are the ones that scripts/servers has started: it starts them again,
// and signals go to the processes that it has noted.
type Servers struct {
	// Script is scripts/servers, Folder its ORDER_SERVERS_DIR.
	Script, Folder string
}

// process finds a server's process; one that is gone is an error.
func (s *Servers) process(name string) (int, error) {
	text, err := os.ReadFile(filepath.Join(s.Folder, name, "pid"))
	if err != nil {
		return 0, fmt.Errorf("server %s: %w", name, err)
	}
	fields := strings.Fields(string(text))
	if len(fields) != 2 {
		return 0, fmt.Errorf("server %s: its pid file says %q", name, text)
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0, fmt.Errorf("server %s: %w", name, err)
	}
	// The system may have given the number to somebody else since.
	if stat := statFields(pid); len(stat) < 20 || stat[19] != fields[1] {
		return 0, fmt.Errorf("server %s: %w", name, os.ErrProcessDone)
	}
	return pid, nil
}

// statFields are those of /proc/PID/stat from the third on, the state; the
// second, a name, may hold spaces and brackets.
func statFields(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
}

// frozen reports whether a process is stopped by a signal.
func frozen(pid int) bool {
	stat := statFields(pid)
	return len(stat) > 0 && stat[0] == "T"
}

func (s *Servers) signal(name string, signal syscall.Signal) error {
	pid, err := s.process(name)
	if err != nil {
		return err
	}
	err = syscall.Kill(pid, signal)
	if err != nil {
		return fmt.Errorf("signal server %s: %w", name, err)
	}
	return nil
}

// Kill ends servers by SIGKILL and waits until they are gone.
func (s *Servers) Kill(names ...string) error {
	for _, name := range names {
		err := s.signal(name, syscall.SIGKILL)
		if err != nil {
			return err
		}
	}
	for _, name := range names {
		for {
			if _, err := s.process(name); err != nil {
				break
			}
			time.Sleep(pollEvery)
		}
	}
	return nil
}

// Freeze stops servers until Thaw.
func (s *Servers) Freeze(names ...string) error { return s.all(syscall.SIGSTOP, names) }

// Thaw lets frozen servers go on.
func (s *Servers) Thaw(names ...string) error { return s.all(syscall.SIGCONT, names) }

func (s *Servers) all(signal syscall.Signal, names []string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, s.signal(name, signal))
	}
	return errors.Join(errs...)
}

// Up starts what does not run and waits until it answers.
func (s *Servers) Up(ctx context.Context, names ...string) error {
	return s.run(ctx, append([]string{"up"}, names...)...)
}

// Purge stops servers and takes their data away.
func (s *Servers) Purge(ctx context.Context, names ...string) error {
	return s.run(ctx, append([]string{"down", "--purge"}, names...)...)
}

// Mountable says why a server cannot have a file system of its own on this machine;
// nil if it can.
func (s *Servers) Mountable(ctx context.Context) error { return s.run(ctx, "mountable") }

// address is where a server listens.
func (s *Servers) address(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(s.Folder, name, "port"))
	if err != nil {
		return "", fmt.Errorf("server %s: %w", name, err)
	}
	return net.JoinHostPort("127.0.0.1", strings.TrimSpace(string(text))), nil
}

// KafkaTool runs one of Kafka's own tools.
func (s *Servers) KafkaTool(ctx context.Context, class string, args ...string) error {
	return s.run(ctx, append([]string{"kafka-tool", "org.apache.kafka.tools." + class}, args...)...)
}

func (s *Servers) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, s.Script, args...)
	cmd.Env = append(os.Environ(), "ORDER_SERVERS_DIR="+s.Folder)
	var talk strings.Builder
	cmd.Stderr, cmd.Stdout = &talk, &talk
	err := cmd.Run()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", s.Script, strings.Join(args, " "), err, talk.String())
	}
	return nil
}

// Names are the servers that were started.
func (s *Servers) Names() []string {
	var names []string
	for _, name := range []string{"kafka", "kafka2", "kafka3", "mysql", "mysql2", "mariadb", "mariadb2", "redis", "redis2", "redis3"} {
		if _, err := os.Stat(filepath.Join(s.Folder, name, "pid")); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// Mend thaws and starts everything there was: nobody finds a frozen broker
// after us.
func (s *Servers) Mend(ctx context.Context) error {
	dead := false
	for _, name := range s.Names() {
		if s.Thaw(name) != nil {
			dead = true
		}
	}
	if !dead {
		return nil
	}
	return s.Up(ctx, s.Names()...)
}

// awaitPort returns the moment at which a port is open.
func awaitPort(ctx context.Context, address string) (time.Time, error) {
	for {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close() // it was open
			return time.Now(), nil
		}
		if !rest(ctx, pollEvery) {
			return time.Time{}, fmt.Errorf("wait for %s to open: %w", address, err)
		}
	}
}

// pollEvery is how often something is looked at that gives no sign of its own.
const pollEvery = 10 * time.Millisecond

// rest reports false when ctx ends first.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
