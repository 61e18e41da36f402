package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// limit is how long the tests of a package may take: a bug may make one hang.
// It is several times what the longest takes.
const limit = 5 * time.Minute

// Result is what became of one hunt.
type Result struct {
	Bug  string `json:"bug"`
	Does string `json:"does"`
	User string `json:"user"`
	// Layer and Test noticed the bug; both are empty if none did.
	Layer string    `json:"caught_by"`
	Test  string    `json:"test"`
	Took  float64   `json:"seconds"` // with compiling, up to the layer that noticed
	At    time.Time `json:"at"`
}

// Caught reports whether any test noticed.
func (r Result) Caught() bool { return r.Layer != "" }

// Hunter lets tests hunt bugs.
type Hunter struct {
	Root string
	// Quick leaves the system and real servers out, which take minutes.
	Quick bool
	// Say tells what is being done.
	Say func(format string, arguments ...any)

	sound map[string]error // layers without a bug
}

// Hunt sows one bug and runs one layer of tests after the other until one of
// them fails. The error says that the hunt could not be held: the bug does not
// apply or compile, or tests fail without it.
func (h *Hunter) Hunt(ctx context.Context, b Bug) (r Result, err error) {
	began := time.Now()
	r = Result{Bug: b.Name, Does: b.Does, User: b.User, At: began.UTC().Truncate(time.Second)}
	err = inFolder(func(folder string) error {
		s, err := sow(ctx, h.Root, folder, b)
		if err != nil {
			return err
		}
		for _, l := range layers(b) {
			if h.Quick && (l.name == system || l.name == servers) {
				return fmt.Errorf("%s: the quick layers do not catch it; next: scripts/mutants hunt %s", b.Name, b.Name)
			}
			h.Say("%s: %s: %s", b.Name, l.name, l)
			test, err := h.test(ctx, l, s.overlay)
			if err != nil {
				return fmt.Errorf("%s: %w", b.Name, err)
			}
			if test == "" {
				continue
			}
			r.Layer, r.Test, r.Took = l.name, test, time.Since(began).Round(time.Second/10).Seconds()
			return h.isSound(ctx, l)
		}
		if !hasServers() {
			return fmt.Errorf("%s: nothing inside the process catches it; next: scripts/servers up, and hunt it with its URLs", b.Name)
		}
		r.Took = time.Since(began).Round(time.Second / 10).Seconds()
		return nil
	})
	return r, err
}

// isSound makes sure, once, that a layer does not fail without a bug, too.
func (h *Hunter) isSound(ctx context.Context, l layer) error {
	key := l.name + l.String()
	if err, known := h.sound[key]; known {
		return err
	}
	h.Say("without a bug: %s: %s", l.name, l)
	test, err := h.test(ctx, l, "")
	if err == nil && test != "" {
		err = fmt.Errorf("layer %s fails without any bug, in %s; next: go test %s", l.name, test, strings.Join(l.packages, " "))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if h.sound == nil {
		h.sound = make(map[string]error)
	}
	h.sound[key] = err
	return err
}

// test runs a layer, and returns the test that failed, if any.
func (h *Hunter) test(ctx context.Context, l layer, overlay string) (string, error) {
	arguments := l.arguments(overlay)
	rapid, err := drawCases(ctx, h.Root, l.packages)
	if err != nil {
		return "", err
	}
	if rapid {
		arguments = append(arguments, noFailFile)
	}
	cmd := command(ctx, h.Root, arguments...)
	cmd.Env = l.environment()
	if l.real && len(l.packages) == 1 && l.packages[0] == app {
		cmd.Env = append(cmd.Env, "REQUIRE_SERVERS=1")
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err == nil {
		return "", nil
	}
	test := failed(&stdout)
	if test == "" {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(cmd.Args[1:], " "), err, strings.TrimSpace(stderr.String()))
	}
	return test, nil
}

// noFailFile keeps rapid from leaving a file in the source for each case that a
// bug fails; later runs would begin with them.
const noFailFile = "-rapid.nofailfile"

// drawCases reports whether the tests of all packages are linked with rapid: to
// others its flags are unknown.
func drawCases(ctx context.Context, root string, packages []string) (bool, error) {
	for _, name := range packages {
		out, err := command(ctx, root, "list", "-test", "-deps", name).Output()
		if err != nil {
			return false, fmt.Errorf("list what the tests of %s are made of: %w", name, err)
		}
		if !slices.Contains(strings.Fields(string(out)), "pgregory.net/rapid") {
			return false, nil
		}
	}
	return true, nil
}

// failed reads what `go test -json` says, and returns the first test that
// failed; the package if none of its tests did (something was left running);
// nothing if no test ran at all.
func failed(out *bytes.Buffer) string {
	packageFailed := ""
	decoder := json.NewDecoder(out)
	for {
		var event struct{ Action, Package, Test, FailedBuild string }
		if decoder.Decode(&event) != nil {
			return packageFailed
		}
		if event.Action != "fail" || event.FailedBuild != "" {
			continue
		}
		if event.Test != "" {
			return event.Test
		}
		packageFailed = "TestMain of " + strings.TrimPrefix(event.Package, "orderconsumer/")
	}
}
