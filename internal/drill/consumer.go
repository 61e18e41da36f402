package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stopPatience is how long a consumer that is told to stop may take for it
// before it is killed: longer than any drain.
const stopPatience = 30 * time.Second

// Command is how a consumer is started.
type Command struct {
	// Path is the program, Args its arguments.
	Path string
	Args []string
	// Environment is added to that of this process, whose variables it
	// overrides. A name alone, without a value, takes a variable away.
	Environment []string
	// Talk takes what it writes to standard error.
	Talk io.Writer
}

// Consumer is a consumer in a process of its own.
type Consumer struct {
	// Started is when the process was.
	Started time.Time

	cmd  *exec.Cmd
	done chan struct{}
	// Of the process, set before done is closed: how and when it ended.
	err error
	end time.Time
}

// Start starts one.
func Start(c Command) (*Consumer, error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = environment(os.Environ(), c.Environment)
	cmd.Stderr = c.Talk
	cmd.SysProcAttr = orphanDies()
	// What a killed process has begun to write must not keep Wait waiting.
	cmd.WaitDelay = time.Second
	p := &Consumer{Started: time.Now(), cmd: cmd, done: make(chan struct{})}
	err := cmd.Start()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	go func() {
		p.err, p.end = cmd.Wait(), time.Now()
		close(p.done)
	}()
	return p, nil
}

// environment is what there is, with changes.
func environment(there, changes []string) []string {
	list := slices.Clone(there)
	for _, change := range changes {
		name, _, set := strings.Cut(change, "=")
		list = slices.DeleteFunc(list, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if set {
			list = append(list, change)
		}
	}
	return list
}

// Pid is the number of the process.
func (c *Consumer) Pid() int { return c.cmd.Process.Pid }

// Done is closed when the process has ended.
func (c *Consumer) Done() <-chan struct{} { return c.done }

// Alive reports whether the process has not ended.
func (c *Consumer) Alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// Signal sends one; a process that has ended hears nothing.
func (c *Consumer) Signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }

// Kill ends it by SIGKILL and waits until it is gone. It reports whether it was
// this signal that did it.
func (c *Consumer) Kill() bool {
	c.Signal(syscall.SIGKILL)
	<-c.done
	return c.Killed()
}

// Killed reports, of a process that has ended, whether SIGKILL ended it, by
// whomever it was sent.
func (c *Consumer) Killed() bool {
	var exit *exec.ExitError
	if !errors.As(c.err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// AwaitDeath waits until SIGKILL has ended it, and fails if anything else did.
func (c *Consumer) AwaitDeath(ctx context.Context) error {
	select {
	case <-c.done:
	case <-ctx.Done():
		return fmt.Errorf("wait for consumer %d to be killed: %w", c.Pid(), ctx.Err())
	}
	if !c.Killed() {
		return fmt.Errorf("consumer %d was to be killed and ended by itself: %w", c.Pid(), c.ended())
	}
	return nil
}

// Stop tells it to stop and waits until it has. A frozen process is thawed, one
// that does not listen is killed and is an error, like one that had ended
// already or that fails to stop.
func (c *Consumer) Stop() error {
	c.Signal(syscall.SIGTERM)
	c.Signal(syscall.SIGCONT)
	select {
	case <-c.done:
		return c.ended()
	case <-time.After(stopPatience):
		c.Kill()
		return fmt.Errorf("consumer %d did not stop within %s and was killed", c.Pid(), stopPatience)
	}
}

// ended is the end of a process that has ended; nil is an orderly one.
func (c *Consumer) ended() error {
	if c.err != nil {
		return fmt.Errorf("consumer %d: %w", c.Pid(), c.err)
	}
	return nil
}
