// Package mutants tests the tests: it sows bugs into the source one at a time,
// and lets the layers of tests hunt each until one of them notices. A bug that
// none notices is a hole in the tests. The source itself is never touched: the
// compiler is told to read other files in place of those with a bug in them.
package mutants

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Bug is one patch.
type Bug struct {
	// Name is that of the file without number and ending, Number the order in
	// which bugs are shown.
	Name, Number string
	// Does says what the code does wrong, User what a shop would see of it.
	Does, User string
	// Look are the system tests that look at what the bug breaks, as a pattern
	// for `go test -run`; empty where cheaper layers do.
	Look string
	// Files are the files it changes, with slashes, relative to the root.
	Files []string

	patch string // its path
}

// patches is the folder of the patches below the root.
const patches = "mutants"

// Bugs reads the patches of the source at root, in order.
func Bugs(root string) ([]Bug, error) {
	names, err := filepath.Glob(filepath.Join(root, patches, "*.patch"))
	if err != nil {
		return nil, fmt.Errorf("list the patches in %s: %w", patches, err)
	}
	bugs := make([]Bug, 0, len(names))
	for _, name := range names {
		bug, err := readBug(name)
		if err != nil {
			return nil, fmt.Errorf("patch %s: %w", filepath.Base(name), err)
		}
		bugs = append(bugs, bug)
	}
	return bugs, nil
}

// Choose keeps the bugs with one of the names or numbers, all of them if there are none.
func Choose(bugs []Bug, names []string) ([]Bug, error) {
	if len(names) == 0 {
		return bugs, nil
	}
	var chosen []Bug
	for _, name := range names {
		i := slices.IndexFunc(bugs, func(b Bug) bool { return name == b.Name || name == b.Number })
		if i < 0 {
			return nil, fmt.Errorf("there is no bug %q", name)
		}
		chosen = append(chosen, bugs[i])
	}
	return chosen, nil
}

// readBug reads the lines above the first file of a patch as its description.
func readBug(name string) (Bug, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return Bug{}, err
	}
	number, title, _ := strings.Cut(strings.TrimSuffix(filepath.Base(name), ".patch"), "-")
	bug := Bug{Name: title, Number: number, patch: name}
	head, _, _ := strings.Cut(string(text), "\n--- ")
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Does":
			bug.Does = value
		case "User":
			bug.User = value
		case "Look":
			bug.Look = value
		case "":
		default:
			return Bug{}, fmt.Errorf("line %q is none of Does, User, Look", line)
		}
	}
	for line := range strings.Lines(string(text)) {
		if file, ok := strings.CutPrefix(line, "+++ b/"); ok {
			bug.Files = append(bug.Files, strings.TrimSpace(file))
		}
	}
	if bug.Does == "" || bug.User == "" || len(bug.Files) == 0 {
		return Bug{}, errors.New("it must say what it Does, what a User sees, and change a file")
	}
	return bug, nil
}

// packages are the packages that the bug is in, as patterns of the go command.
func (b Bug) packages() []string {
	var packages []string
	for _, file := range b.Files {
		folder, _, _ := strings.Cut(path.Dir(file), "/migrations") // SQL is a part of the package above it
		packages = append(packages, "./"+folder)
	}
	slices.Sort(packages)
	return slices.Compact(packages)
}
