package mutants

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// source is the root of the source.
func source(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func bugs(t *testing.T) []Bug {
	t.Helper()
	bugs, err := Bugs(source(t))
	if err != nil {
		t.Fatal(err)
	}
	return bugs
}

func TestEveryBugAppliesToTodaysSource(t *testing.T) {
	t.Parallel()
	if err := CheckApplies(t.Context(), source(t), bugs(t)); err != nil {
		t.Error(err)
	}
}

func TestEveryBugIsCaught(t *testing.T) {
	t.Parallel()
	newest, err := Results(source(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, bug := range bugs(t) {
		// One that was never hunted has no result, and one that says something else
		// than the patch is of another bug.
		r := newest[bug.Name]
		if !r.Caught() || r.Does != bug.Does {
			t.Errorf("no test has caught %s; next: scripts/mutants hunt %s", bug.Name, bug.Name)
		}
	}
}

func TestPageSaysWhatTheResultsSay(t *testing.T) {
	t.Parallel()
	newest, err := Results(source(t))
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := Page(&want, bugs(t), newest); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(source(t), "docs", "mutants.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("docs/mutants.md (-results +page); next: scripts/mutants page\n%s", diff)
	}
}

// project is a source of its own, with one package, a test, and a bug.
func project(t *testing.T, patch string) (string, []Bug) {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":              "module orderconsumer\n\ngo 1.24\n",
		"sum/sum.go":          "package sum\n\nfunc Sum(a, b int) int {\n\treturn a + b\n}\n",
		"sum/sum_test.go":     "package sum\n\nimport \"testing\"\n\nfunc TestSum(t *testing.T) {\n\tt.Run(\"small\", func(t *testing.T) {\n\t\tif Sum(2, 0) != 2 {\n\t\t\tt.Error()\n\t\t}\n\t})\n}\n",
		"mutants/01-it.patch": "Does: It.\nUser: That.\n\n--- a/sum/sum.go\n+++ b/sum/sum.go\n@@ -3,3 +3,3 @@\n func Sum(a, b int) int {\n" + patch + " }\n",
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bugs, err := Bugs(root)
	if err != nil {
		t.Fatal(err)
	}
	return root, bugs
}

func TestHuntNamesTheTestAndLeavesTheSourceAlone(t *testing.T) {
	t.Parallel()
	root, bugs := project(t, "-\treturn a + b\n+\treturn a * b\n")
	h := Hunter{Root: root, Say: t.Logf}
	r, err := h.Hunt(t.Context(), bugs[0])
	if err != nil || r.Layer != unit || r.Test != "TestSum/small" {
		t.Errorf("hunt: %+v, %v; want it caught by the unit tests, in TestSum/small", r, err)
	}
	text, err := os.ReadFile(filepath.Join(root, "sum", "sum.go"))
	if err != nil || !strings.Contains(string(text), "a + b") {
		t.Errorf("the source was changed: %q, %v", text, err)
	}
}

func TestABugThatDoesNotApplyOrCompileIsAnError(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, patch, want string }{
		{"does not apply", "-\treturn a - b\n+\treturn a * b\n", "does not apply any more; next:"},
		{"does not compile", "-\treturn a + b\n+\treturn a + c\n", "does not compile"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, bugs := project(t, tt.patch)
			if err := Check(t.Context(), root, bugs); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("check: %v, want %q", err, tt.want)
			}
			h := Hunter{Root: root, Say: t.Logf}
			if r, err := h.Hunt(t.Context(), bugs[0]); err == nil {
				t.Errorf("hunt: %+v, want an error: a bug that was not there was not caught", r)
			}
		})
	}
}

// The flag that keeps rapid from writing is unknown to tests without it.
func TestOnlyTestsThatDrawCasesAreToldNotToKeepThem(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"./internal/lock": true, "./contract": true, app: false} {
		got, err := drawCases(t.Context(), source(t), []string{name})
		if err != nil || got != want {
			t.Errorf("%s: got %t and %v, want %t", name, got, err, want)
		}
	}
	if got, err := drawCases(t.Context(), source(t), []string{"./internal/lock", app}); got || err != nil {
		t.Errorf("one with and one without: got %t and %v", got, err)
	}
}
