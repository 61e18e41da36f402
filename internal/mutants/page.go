package mutants

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// results is the file of the newest result of each bug below the root, one
// JSON object a line, in the order of the bugs.
const results = "mutants/results.jsonl"

// pageHead opens the page of seeded bugs.
const pageHead = `# Seeded bugs

Written by ` + "`scripts/mutants page`" + ` from ` + "`mutants/results.jsonl`" + `. Each bug is a patch in ` + "`mutants/`" + `, a mistake that
somebody might make or that other consumers have made. ` + "`scripts/mutants hunt [NAME...]`" + ` builds the tests with one
bug at a time (the files on disk stay as they are: the compiler reads others in their place) and runs the layers in turn, the cheapest first, until one
fails: the tests of the package (*unit*), what every ledger promises, on SQLite (*conformance*), consumers on servers inside the process
(*system*), and where URLs are set (` + "`scripts/servers`" + `) real servers (*servers*; all of them are started by ` + "`scripts/servers up kafka mysql redis mariadb --quorum --secure`" + `). A layer that caught something is run without the bug, too,
and must pass then. A bug that nothing catches is a hole in the tests, and the command fails.

` + "`scripts/mutants check`" + ` says whether all of them still apply and compile; ` + "`go test ./internal/mutants`" + ` says whether they apply,
and that a test has caught each. One that does not apply any more is made anew in today's source. Times are with compiling, on a machine with two
processors that other work shared.

`

// Results reads the newest result of each bug, by name.
func Results(root string) (map[string]Result, error) {
	file, err := os.Open(filepath.Join(root, results))
	if errors.Is(err, os.ErrNotExist) {
		return map[string]Result{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	newest := make(map[string]Result)
	decoder := json.NewDecoder(bufio.NewReader(file))
	for decoder.More() {
		var r Result
		if err := decoder.Decode(&r); err != nil {
			return nil, fmt.Errorf("read %s: %w", results, err)
		}
		newest[r.Bug] = r
	}
	return newest, nil
}

// Note keeps a result in the file of results, in place of the one before.
func Note(root string, bugs []Bug, r Result) error {
	newest, err := Results(root)
	if err != nil {
		return err
	}
	newest[r.Bug] = r
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	for _, bug := range bugs {
		if r, known := newest[bug.Name]; known {
			if err := encoder.Encode(r); err != nil {
				return fmt.Errorf("note what became of %s: %w", bug.Name, err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(root, results), []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("note what became of %s: %w", r.Bug, err)
	}
	return nil
}

// Page writes the page of seeded bugs.
func Page(w io.Writer, bugs []Bug, newest map[string]Result) error {
	var b strings.Builder
	b.WriteString(pageHead)
	hunted, caught, layers := 0, 0, make(map[string]int)
	for _, bug := range bugs {
		r, known := newest[bug.Name]
		if known {
			hunted++
		}
		if r.Caught() {
			caught++
			layers[r.Layer]++
		}
	}
	fmt.Fprintf(&b, "%d bugs, %d hunted, %d of these caught:", len(bugs), hunted, caught)
	for _, layer := range []string{unit, conformance, system, servers} {
		fmt.Fprintf(&b, " %d %s,", layers[layer], layer)
	}
	text := strings.TrimSuffix(b.String(), ",")
	b.Reset()
	b.WriteString(text + ".\n\n| # | bug | what the code does | what a shop would see | caught by | first test | time |\n|---|---|---|---|---|---|---|\n")
	for _, bug := range bugs {
		r, known := newest[bug.Name]
		layer, test := r.Layer, "`"+r.Test+"`"
		switch {
		case !known:
			layer, test = "not hunted yet", ""
		case !r.Caught():
			layer, test = "**nothing**", ""
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %.0f s |\n", bug.Number, bug.Name, bug.Does, bug.User, layer, test, r.Took)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
