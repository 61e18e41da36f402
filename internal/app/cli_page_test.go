package app

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/cli"
)

// update is what -update sets.
var update = flag.Bool("update", false, "write docs/cli.md instead of comparing with it")

// cliPage opens the page of all command lines.
const cliPage = `# Command lines

Written by ` + "`go test ./internal/app -run TestCommandLinePage -update`" + ` from the programs' own help.

Flags come before the environment, the environment before the defaults. Lists are comma-separated. Answers go to
standard output (` + "`-o json`" + ` and ` + "`-o jsonl`" + ` for programs), everything else to standard error.

| exit code | meaning |
|---|---|
| 0 | everything that was asked for was done |
| 1 | something of it was not |
| 2 | the command line or a setting makes no sense; nothing was done |
| 3 | nothing matched what was asked for |
| 4 | a part was done, and the answer says which |
| 5 | a server that is needed does not answer |

Two commands know fewer: ` + "`producer publish` and `producer generate`" + ` end with 1 also where a part was delivered (what was not is in a file,
ready to be published), and ` + "`consumer health`" + ` ends with 0 or 1, which is all that a container's health check understands.
`

// TestCommandLinePage holds docs/cli.md against the programs.
func TestCommandLinePage(t *testing.T) {
	t.Setenv("COLUMNS", "110") // what help is wrapped at
	producer := producerProgram()
	page := cliPage
	for _, p := range []cli.Program{consumer(), producer} {
		page += fmt.Sprintf("\n## %s\n", p.Name)
		for _, command := range commandsOf(t, p) {
			page += fmt.Sprintf("\n### %s\n\n```text\n%s```\n", strings.Join(append([]string{p.Name}, command...), " "), helpOf(t, p, command))
		}
	}
	path := filepath.Join("..", "..", "docs", "cli.md")
	if *update {
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(page), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page, string(got)); diff != "" {
		t.Errorf("docs/cli.md is not what the programs say of themselves; run this test with -update (-want +got):\n%s", diff)
	}
}

// commandsOf are the words of all commands that can be run, the program's own
// help first.
func commandsOf(t *testing.T, p cli.Program) [][]string {
	t.Helper()
	parser, err := kong.New(p.Commands, kong.Name(p.Name))
	if err != nil {
		t.Fatal(err)
	}
	words := [][]string{nil}
	var walk func(node *kong.Node, path []string)
	walk = func(node *kong.Node, path []string) {
		for _, child := range node.Children {
			here := slices.Concat(path, []string{child.Name})
			if child.Leaf() {
				words = append(words, here)
			}
			walk(child, here)
		}
	}
	walk(parser.Model.Node, nil)
	return words
}

// helpOf is what the program says about one of its commands.
func helpOf(t *testing.T, p cli.Program, command []string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := p.RunUnder(make(chan os.Signal, 2), slices.Concat(command, []string{"--help"}),
		cli.Streams{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr})
	if code != cli.ExitOK {
		t.Fatalf("%v: exit %d: %s", command, code, stderr.String())
	}
	var help strings.Builder
	for line := range strings.Lines(stdout.String()) {
		help.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return help.String()
}
