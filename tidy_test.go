// Package tidy_test holds the house style that a machine can check, so that a
// review need not. What the linter has a rule for is in .golangci.yml.
package tidy_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxFileLines is what fits in a head. How long a function may be, the linter says.
const maxFileLines = 400

// emptyNames say where something is put, not what it is.
var emptyNames = []string{"base", "common", "helper", "helpers", "lib", "misc", "shared", "util", "utils"}

// fakes must not be linked into the programs that are deployed, nor a second client of Kafka:
// of franz-go they have the messages alone (kmsg).
var fakes = []string{
	"github.com/alicebob/miniredis",
	"github.com/glebarez",
	"github.com/twmb/franz-go/pkg/kfake",
	"github.com/twmb/franz-go/pkg/kgo",
	"modernc.org/sqlite",
	"orderconsumer/internal/embedded",
	"orderconsumer/internal/testkit",
	"testing",
}

// source is one Go file of the project.
type source struct {
	path string
	text []byte
	set  *token.FileSet
	file *ast.File
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) line(pos token.Pos) int { return s.set.Position(pos).Line }

func TestTidy(t *testing.T) {
	t.Parallel()
	files := sources(t)
	for _, rule := range []struct {
		name  string
		check func(source) []string
	}{
		{"files are short", fileIsShort},
		{"tests wait for signals, not for time", testsDoNotSleep},
		{"names say what a thing is", namesMeanSomething},
		{"Go files are ASCII", isASCII},
	} {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			for _, file := range files {
				for _, offence := range rule.check(file) {
					t.Errorf("%s:%s", file.path, offence)
				}
			}
		})
	}
}

func fileIsShort(s source) []string {
	if lines := bytes.Count(s.text, []byte("\n")); !s.isTest() && lines > maxFileLines {
		return []string{fmt.Sprintf("%d: the file has more than %d lines", lines, maxFileLines)}
	}
	return nil
}

// testsDoNotSleep takes the clock of a file that imports testing/synctest for
// a fake one, on which sleeping takes no time and races with nothing.
func testsDoNotSleep(s source) []string {
	fakeClock := slices.ContainsFunc(s.file.Imports, func(spec *ast.ImportSpec) bool {
		return spec.Path.Value == `"testing/synctest"`
	})
	if !s.isTest() || fakeClock {
		return nil
	}
	var offences []string
	ast.Inspect(s.file, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok || selector.Sel.Name != "Sleep" {
			return true
		}
		if from, ok := selector.X.(*ast.Ident); ok && from.Name == "time" {
			offences = append(offences, fmt.Sprintf("%d: time.Sleep in a test: too short on a busy machine, too long on an idle one; wait for a signal", s.line(node.Pos())))
		}
		return true
	})
	return offences
}

func namesMeanSomething(s source) []string {
	var offences []string
	names := append(strings.Split(path.Dir(s.path), "/"), strings.TrimSuffix(strings.TrimSuffix(path.Base(s.path), ".go"), "_test"), s.file.Name.Name)
	for _, name := range names {
		if slices.Contains(emptyNames, name) {
			offences = append(offences, fmt.Sprintf("1: %q says where a thing is put, not what it is", name))
		}
	}
	return offences
}

func isASCII(s source) []string {
	var offences []string
	for i, line := range bytes.Split(s.text, []byte("\n")) {
		if at := bytes.IndexFunc(line, func(r rune) bool { return r >= utf8.RuneSelf }); at >= 0 {
			offences = append(offences, fmt.Sprintf("%d: %q is not ASCII; write it as an escape", i+1, line[at:]))
		}
	}
	return offences
}

func TestReadmeLinksEveryPage(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := fs.Glob(os.DirFS("."), "docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("pages: %v, %v", pages, err)
	}
	_, list, _ := strings.Cut(string(readme), "\n## Documentation\n")
	for _, page := range pages {
		if !strings.Contains(list, "]("+page+")") {
			t.Errorf("the list at the end of README.md does not link %s", page)
		}
	}
}

// What depguard does not see: a package that comes by way of another.
func TestProgramsAreLinkedWithoutFakes(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"./cmd/consumer", "./cmd/producer"} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", program).CombinedOutput()
		if err != nil {
			t.Errorf("list what %s is made of: %v\n%s", program, err, out)
			continue
		}
		for dependency := range strings.FieldsSeq(string(out)) {
			for _, fake := range fakes {
				if dependency == fake || strings.HasPrefix(dependency, fake+"/") {
					t.Errorf("%s is linked with %s", program, dependency)
				}
			}
		}
	}
}

// sources are the Go files of the project, which there must be some of.
func sources(t *testing.T) []source {
	t.Helper()
	var files []source
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, source{path: name, text: text, set: set, file: file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 2 {
		t.Fatalf("found %d Go files: this test runs in the wrong folder", len(files))
	}
	return files
}
