package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime/pprof"
	"syscall"
	"time"
)

// ChildCommand is the argument with which the benchmark starts itself for one
// measurement.
const ChildCommand = "measure"

// killAfter is how long a measurement that is told to stop may take for it.
const killAfter = 10 * time.Second

// InProcess carries out one measurement in a process of its own: this program,
// started again with ChildCommand.
func InProcess(ctx context.Context, spec Spec) (Run, error) {
	var run Run
	self, err := os.Executable()
	if err != nil {
		return run, fmt.Errorf("find this program: %w", err)
	}
	input, err := json.Marshal(spec)
	if err != nil {
		return run, fmt.Errorf("write the spec of %s: %w", spec.Way, err)
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, self, ChildCommand)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &output, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killAfter
	err = cmd.Run()
	if err != nil {
		return run, fmt.Errorf("measure %s in a process of its own: %w", spec.Way, err)
	}
	err = json.Unmarshal(output.Bytes(), &run)
	if err != nil {
		return run, fmt.Errorf("read what was measured of %s: %w", spec.Way, err)
	}
	return run, nil
}

// Child is the other end of InProcess: it reads a spec and writes a run.
func Child(ctx context.Context, in io.Reader, out io.Writer, log *slog.Logger) error {
	var spec Spec
	err := json.NewDecoder(in).Decode(&spec)
	if err != nil {
		return fmt.Errorf("read what is to be measured: %w", err)
	}
	run, err := Measure(ctx, spec, log)
	if err != nil {
		return err
	}
	err = json.NewEncoder(out).Encode(run)
	if err != nil {
		return fmt.Errorf("write what was measured: %w", err)
	}
	return nil
}

// profile writes a CPU profile to a file until stop is called; without a file
// it does nothing.
func profile(name string) (stop func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("write a CPU profile: %w", err)
	}
	err = pprof.StartCPUProfile(file)
	if err != nil {
		return nil, fmt.Errorf("write a CPU profile to %s: %w", name, err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close() // a profile that is cut off says so itself
	}, nil
}
