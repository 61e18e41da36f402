package mutants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// patience is how long a test process may take to end once it was told to.
const patience = 10 * time.Second

// sown is the source with bugs in it: files to be read in place of others.
type sown struct {
	overlay string // file for -overlay of the go command
}

// sow applies bugs, no two of which change the same file, to copies of what
// they change. The caller removes the folder.
func sow(ctx context.Context, root, folder string, bugs ...Bug) (*sown, error) {
	replace := make(map[string]string)
	for _, bug := range bugs {
		for _, file := range bug.Files {
			from, to := filepath.Join(root, filepath.FromSlash(file)), filepath.Join(folder, filepath.FromSlash(file))
			text, err := os.ReadFile(from)
			if err != nil {
				return nil, stale(bug, err)
			}
			if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o644)); err != nil {
				return nil, fmt.Errorf("copy %s: %w", file, err)
			}
			replace[from] = to
		}
		// One line of context must fit: what else changes nearby does not matter.
		cmd := exec.CommandContext(ctx, "git", "apply", "-C1", bug.patch)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(folder))
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, stale(bug, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out))))
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, fmt.Errorf("name the files with bugs: %w", err)
	}
	s := &sown{overlay: filepath.Join(folder, "overlay.json")}
	if err := os.WriteFile(s.overlay, text, 0o644); err != nil {
		return nil, fmt.Errorf("name the files with bugs: %w", err)
	}
	return s, nil
}

func stale(b Bug, err error) error {
	return fmt.Errorf("%s does not apply any more; next: make the same bug in today's source and write it to %s: %w",
		b.Name, filepath.Join(patches, filepath.Base(b.patch)), err)
}

// Check reports the bugs that do not apply any more, or do not compile.
func Check(ctx context.Context, root string, bugs []Bug) error {
	if err := CheckApplies(ctx, root, bugs); err != nil {
		return err
	}
	var errs []error
	for _, together := range apart(bugs) {
		if compile(ctx, root, together) == nil {
			continue
		}
		for _, bug := range together { // which of them?
			errs = append(errs, compile(ctx, root, []Bug{bug}))
		}
	}
	return errors.Join(errs...)
}

// CheckApplies reports the bugs that do not apply any more.
func CheckApplies(ctx context.Context, root string, bugs []Bug) error {
	var errs []error
	for _, bug := range bugs {
		errs = append(errs, inFolder(func(folder string) error {
			_, err := sow(ctx, root, folder, bug)
			return err
		}))
	}
	return errors.Join(errs...)
}

// apart sorts bugs into as few heaps as it takes for no two of a heap to
// change the same file: a heap is compiled at once.
func apart(bugs []Bug) [][]Bug {
	var heaps [][]Bug
	for _, bug := range bugs {
		i := slices.IndexFunc(heaps, func(heap []Bug) bool {
			return !slices.ContainsFunc(heap, func(b Bug) bool {
				return slices.ContainsFunc(b.Files, func(file string) bool { return slices.Contains(bug.Files, file) })
			})
		})
		if i < 0 {
			heaps, i = append(heaps, nil), len(heaps)
		}
		heaps[i] = append(heaps[i], bug)
	}
	return heaps
}

func compile(ctx context.Context, root string, bugs []Bug) error {
	return inFolder(func(folder string) error {
		s, err := sow(ctx, root, folder, bugs...)
		if err != nil {
			return err
		}
		arguments := []string{"build", "-overlay", s.overlay}
		for _, bug := range bugs {
			arguments = append(arguments, bug.packages()...)
		}
		if out, err := command(ctx, root, arguments...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s does not compile: %w: %s", bugs[0].Name, err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}

// command is a call of the go command. When the context ends, so do the
// processes that it has started.
func command(ctx context.Context, root string, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", arguments...)
	cmd.Dir = root
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = patience
	return cmd
}

// inFolder calls f with a folder that is removed afterwards.
func inFolder(f func(folder string) error) (err error) {
	folder, err := os.MkdirTemp("", "mutants-*")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	return f(folder)
}
