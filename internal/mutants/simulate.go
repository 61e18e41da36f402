package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Simulated is what the simulator made of a bug.
type Simulated struct {
	Bug string `json:"bug"`
	// Caught says that a world went wrong, or broke off with the whole run.
	Caught bool `json:"caught"`
	// Seed is the first that was wrong; 0: none was, or the run ended with it.
	Seed uint64 `json:"seed"`
	// Played is how many seeds had been played by then.
	Played  int     `json:"played"`
	Finding string  `json:"finding"` // the first of the seed, or how the run ended
	Took    float64 `json:"seconds"` // without compiling
}

// Simulate sows one bug and plays worlds until one goes wrong, most of them at the
// most. That a bug passes is no error: much of the source is not played.
func Simulate(ctx context.Context, root string, b Bug, most int) (r Simulated, err error) {
	r.Bug = b.Name
	err = inFolder(func(folder string) error {
		s, err := sow(ctx, root, folder, b)
		if err != nil {
			return err
		}
		program := filepath.Join(folder, "sim")
		if out, err := command(ctx, root, "build", "-overlay", s.overlay, "-o", program, "./cmd/sim").CombinedOutput(); err != nil {
			return fmt.Errorf("%s does not compile: %w: %s", b.Name, err, strings.TrimSpace(string(out)))
		}
		cmd := command(ctx, root)
		cmd.Path, cmd.Args = program, []string{program, "--seeds", fmt.Sprintf("1..%d", most), "--fail-fast", "--output", "json"}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		began := time.Now()
		ended := cmd.Run()
		r.Took = time.Since(began).Round(time.Second / 10).Seconds()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return r.read(stdout.Bytes(), stderr.String(), ended)
	})
	return r, err
}

// read takes what the program said when it ended.
func (r *Simulated) read(stdout []byte, stderr string, ended error) error {
	var report struct {
		Seeds  int
		Failed []struct {
			Seed     uint64
			Findings []string
		}
	}
	if json.Unmarshal(stdout, &report) != nil { // the bug ended the program
		for line := range strings.Lines(stderr) {
			if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "seed ") {
				r.Caught, r.Finding = true, strings.TrimSpace(line)
				return nil
			}
		}
		return fmt.Errorf("play %s: %w: %s", r.Bug, ended, strings.TrimSpace(stderr))
	}
	r.Played = report.Seeds
	for _, f := range report.Failed { // worlds side by side do not end in turn
		if !r.Caught || f.Seed < r.Seed {
			r.Caught, r.Seed, r.Finding = true, f.Seed, f.Findings[0]
		}
	}
	if !r.Caught && ended != nil {
		return fmt.Errorf("play %s: %w: %s", r.Bug, ended, strings.TrimSpace(stderr))
	}
	return nil
}
