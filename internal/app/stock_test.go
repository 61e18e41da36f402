package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/testkit"
)

func TestStockSetAndAdd(t *testing.T) {
	t.Parallel()
	run := at(t, testkit.Start(t))
	for _, tt := range []struct {
		args   []string
		stdout string
	}{
		{args: []string{"set", "apple", "5"}, stdout: "apple: 0 -> 5 (new)\n"},
		{args: []string{"add", "apple", "3"}, stdout: "apple: 5 -> 8\n"},
		{args: []string{"set", "--goods", "apple", "--num", "2"}, stdout: "apple: 8 -> 2\n"},
		{args: []string{"add", "apple", "--num", "2", "--ref", "delivery-1"}, stdout: "apple: 2 -> 4\n"},
		{args: []string{"add", "apple", "2", "--ref", "delivery-1"}, stdout: "apple: 4 -> 4 (applied before as delivery-1)\n"},
		{args: []string{"set", "apple", "0"}, stdout: "apple: 4 -> 0\n"},
		{
			args:   []string{"add", "pear", "7", "--ref", "delivery-1", "-o", "json"},
			stdout: `{"goods_id":"pear","before":0,"after":7,"created":true,"repeated":false,"ref":"delivery-1"}` + "\n",
		},
	} {
		got := run(append([]string{"stock"}, tt.args...)...).want(t, cli.ExitOK)
		if got.stdout != tt.stdout || got.stderr != "" {
			t.Errorf("%v: %q and %q, want %q", tt.args, got.stdout, got.stderr, tt.stdout)
		}
	}
	for _, other := range [][]string{{"add", "apple", "3", "--ref", "delivery-1"}, {"set", "apple", "2", "--ref", "delivery-1"}} {
		got := run(append([]string{"stock"}, other...)...).want(t, cli.ExitUsage)
		testkit.WantParts(t, got.stderr, `"delivery-1" has been applied to goods "apple" before with other content: restock of +2, to 4`)
	}
	testkit.WantParts(t, run("stock", "get", "apple").want(t, cli.ExitOK).stdout, "apple")
	run("audit").want(t, cli.ExitOK)
}

func TestStockChangesThatAreRefused(t *testing.T) {
	t.Parallel()
	run := at(t, testkit.Start(t))
	for _, tt := range []struct {
		args  []string
		parts string
	}{
		{args: []string{"set", "apple"}, parts: "goods and num are needed"},
		{args: []string{"add"}, parts: "goods and num are needed"},
		{args: []string{"add", "apple", "0"}, parts: "the least is 1"},
		{args: []string{"set", "apple", "--num=-1"}, parts: "the least is 0"},
		{args: []string{"set", "apple", "9007199254740992"}, parts: "the most is 9007199254740991"},
		{args: []string{"set", "apple", "many"}, parts: `got "many"`},
		{args: []string{"set", "", "1"}, parts: "goods"},
		{args: []string{"set", strings.Repeat("a", 65), "1"}, parts: "65 bytes, the most is 64"},
		{args: []string{"set", "a\nb", "1"}, parts: "control characters"},
		{args: []string{"set", "apple", "1", "--goods", "pear"}, parts: "goods is given twice"},
		{args: []string{"set", "apple", "1", "--num", "2"}, parts: "num is given twice"},
		{args: []string{"set", "apple", "1", "--ref", strings.Repeat("r", 65)}, parts: "the most is 64"},
	} {
		got := run(append([]string{"stock"}, tt.args...)...).want(t, cli.ExitUsage)
		testkit.WantParts(t, got.stderr, tt.parts)
	}
	if got := run("stock", "list").want(t, cli.ExitOK); got.stdout != "" {
		t.Errorf("something was changed: %s", got.stdout)
	}
}

// level takes the time out of a line.
func withoutTimes(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		before, after, found := strings.Cut(line, `"updated_at":"`)
		if found {
			for ; found; before, after, found = strings.Cut(after, `"updated_at":"`) {
				b.WriteString(before + `"updated_at":"`)
				_, after, _ = strings.Cut(after, `"`)
				after = `"` + after
			}
			b.WriteString(before)
			continue
		}
		fields := strings.Fields(line)
		b.WriteString(strings.Join(fields[:min(2, len(fields))], " ") + "\n")
	}
	return b.String()
}

func TestStockGet(t *testing.T) {
	t.Parallel()
	run := at(t, testkit.Start(t))
	run("stock", "set", "apple", "5").want(t, cli.ExitOK)
	run("stock", "set", "a pear", "7").want(t, cli.ExitOK)

	t.Run("as a table, in the order asked", func(t *testing.T) {
		t.Parallel()
		got := run("stock", "get", "apple", "a pear", "apple").want(t, cli.ExitOK)
		lines := strings.Split(got.stdout, "\n")
		if len(lines) != 4 || !strings.HasPrefix(lines[0], "GOODS   AVAILABLE  UPDATED") ||
			!strings.HasPrefix(lines[1], "apple           5  2") || !strings.HasPrefix(lines[2], "a pear          7  2") {
			t.Errorf("got\n%s", got.stdout)
		}
	})
	t.Run("as one object, with what is not known", func(t *testing.T) {
		t.Parallel()
		got := run("stock", "get", "nix", "apple", "-o", "json").want(t, cli.ExitPartial)
		want := `{"stock":[{"goods_id":"apple","available":5,"updated_at":""}],"unknown":["nix"]}` + "\n"
		if withoutTimes(got.stdout) != want {
			t.Errorf("got %s, want %s", got.stdout, want)
		}
		testkit.WantParts(t, got.stderr, "not in the catalogue: nix")
	})
	t.Run("as one object a line", func(t *testing.T) {
		t.Parallel()
		got := run("stock", "get", "apple", "a pear", "-o", "jsonl").want(t, cli.ExitOK)
		want := `{"goods_id":"apple","available":5,"updated_at":""}` + "\n" + `{"goods_id":"a pear","available":7,"updated_at":""}` + "\n"
		if withoutTimes(got.stdout) != want {
			t.Errorf("got %s, want %s", got.stdout, want)
		}
	})
	t.Run("goods that nobody knows", func(t *testing.T) {
		t.Parallel()
		got := run("stock", "get", "nix", "\x1b[31m").want(t, cli.ExitNothing)
		testkit.WantParts(t, got.stderr, `not in the catalogue: nix, "\x1b[31m"`)
		if got.stdout != "" {
			t.Errorf("writes %q", got.stdout)
		}
		got = run("stock", "get", "nix", "-o", "json").want(t, cli.ExitNothing)
		if want := `{"stock":[],"unknown":["nix"]}` + "\n"; got.stdout != want {
			t.Errorf("got %s, want %s", got.stdout, want)
		}
	})
}

func TestStockList(t *testing.T) {
	t.Parallel()
	servers := testkit.Start(t)
	run := at(t, servers)
	const all = listPage + 50 // more than one page
	var file strings.Builder
	for n := range all {
		fmt.Fprintf(&file, "g%04d,%d\n", n, n)
	}
	consume(t, file.String(), "stock", "import", "-", "--database-url", servers.DatabaseURL).want(t, cli.ExitOK)

	t.Run("a hundred, and how to go on", func(t *testing.T) {
		t.Parallel()
		got := run("stock", "list").want(t, cli.ExitOK)
		if n := strings.Count(got.stdout, "\n"); n != 1+levelsShown {
			t.Errorf("%d lines", n)
		}
		testkit.WantParts(t, got.stderr, "consumer stock list --after g0099, or --limit 0")
	})
	t.Run("a program gets all of them", func(t *testing.T) {
		t.Parallel()
		got := run("stock", "list", "-o", "jsonl").want(t, cli.ExitOK)
		if n := strings.Count(got.stdout, "\n"); n != all || got.stderr != "" {
			t.Errorf("%d lines; %s", n, got.stderr)
		}
	})
	t.Run("what follows", func(t *testing.T) {
		t.Parallel()
		got := run("stock", "list", "--after", "g1047", "--limit", "2").want(t, cli.ExitOK)
		if want := "GOODS AVAILABLE\ng1048 1048\ng1049 1049\n"; withoutTimes(got.stdout) != want || got.stderr != "" {
			t.Errorf("got\n%s%s", got.stdout, got.stderr)
		}
	})
	t.Run("all of them for a person who wants that", func(t *testing.T) {
		t.Parallel()
		if got := run("stock", "list", "--limit", "0").want(t, cli.ExitOK); strings.Count(got.stdout, "\n") != 1+all || got.stderr != "" {
			t.Errorf("%d lines; %s", strings.Count(got.stdout, "\n"), got.stderr)
		}
	})
	t.Run("all of them, as one object", func(t *testing.T) {
		t.Parallel()
		got := run("stock", "list", "-o", "json").want(t, cli.ExitOK)
		if n := strings.Count(got.stdout, "goods_id"); n != all {
			t.Errorf("%d goods", n)
		}
		if !strings.HasSuffix(got.stdout, `],"next":null}`+"\n") {
			t.Errorf("ends with %s", got.stdout[len(got.stdout)-50:])
		}
	})
	t.Run("a limit over more than one page ends where it should", func(t *testing.T) {
		t.Parallel()
		got := run("stock", "list", "--limit", fmt.Sprint(listPage+1), "-o", "json").want(t, cli.ExitOK)
		if n := strings.Count(got.stdout, "goods_id"); n != listPage+1 {
			t.Errorf("%d goods", n)
		}
		testkit.WantParts(t, got.stdout, `],"next":"g1000"}`)
	})
	t.Run("nothing behind the last one", func(t *testing.T) {
		t.Parallel()
		got := run("stock", "list", "--after", "g1049", "-o", "json").want(t, cli.ExitOK)
		if want := `{"stock":[],"next":null}` + "\n"; got.stdout != want {
			t.Errorf("got %s", got.stdout)
		}
	})
	t.Run("a limit that makes no sense", func(t *testing.T) {
		t.Parallel()
		run("stock", "list", "--limit=-1").want(t, cli.ExitUsage)
	})
}

func TestStockImport(t *testing.T) {
	t.Parallel()
	servers := testkit.Start(t)
	run := at(t, servers)
	file := filepath.Join(t.TempDir(), "stock.csv")
	err := os.WriteFile(file, []byte("\xef\xbb\xbfGoods_ID, num\r\n\"a, pear\", 7\r\napple,5\r\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   []string
		stdout string
	}{
		{args: []string{"--file", file, "--ref", "count-1"}, stdout: "2 of 2 lines as count-1: 2 created, 0 changed, 0 as they were, 0 applied before\n"},
		{args: []string{file, "--ref", "count-1"}, stdout: "2 of 2 lines as count-1: 0 created, 0 changed, 0 as they were, 2 applied before\n"},
		{args: []string{file, "--ref", "count-2"}, stdout: "2 of 2 lines as count-2: 0 created, 0 changed, 2 as they were, 0 applied before\n"},
		{
			args:   []string{file, "--mode", "add", "--ref", "delivery", "-o", "json"},
			stdout: `{"ref":"delivery","goods":2,"created":0,"changed":2,"same":0,"repeated":0}` + "\n",
		},
	} {
		got := run(append([]string{"stock", "import"}, tt.args...)...).want(t, cli.ExitOK)
		if got.stdout != tt.stdout || got.stderr != "" {
			t.Errorf("%v: %q and %q, want %q", tt.args, got.stdout, got.stderr, tt.stdout)
		}
	}
	got := run("stock", "list").want(t, cli.ExitOK)
	if want := "GOODS AVAILABLE\na, pear\napple 10\n"; withoutTimes(got.stdout) != want {
		t.Errorf("got\n%s", got.stdout)
	}
	run("audit").want(t, cli.ExitOK)

	t.Run("a file with mistakes changes nothing, and every mistake is told with its line", func(t *testing.T) {
		t.Parallel()
		got := consume(t, "apple,1\npear,x\n", "stock", "import", "-", "--database-url", servers.DatabaseURL).want(t, cli.ExitUsage)
		testkit.WantParts(t, got.stderr, "nothing was applied", `line 2: num "x"`)
		testkit.WantParts(t, run("stock", "get", "apple").want(t, cli.ExitOK).stdout, "10")
	})
	t.Run("an import that breaks off says how far it came, and goes on from there", func(t *testing.T) {
		t.Parallel()
		own := testkit.Start(t)
		run := at(t, own)
		run("stock", "set", "z", fmt.Sprint(int64(stock.MaxAvailable))).want(t, cli.ExitOK)
		var text strings.Builder
		for n := range 1000 { // as many as one transaction takes, and then one that cannot be added to
			fmt.Fprintf(&text, "a%03d,1\n", n)
		}
		text.WriteString("z,1\n")
		again := func() answer {
			return consume(t, text.String(), "stock", "import", "-", "--mode", "add", "--ref", "delivery", "--database-url", own.DatabaseURL)
		}
		got := again().want(t, cli.ExitPartial)
		testkit.WantParts(t, got.stdout, "1000 of 1001 lines as delivery: 1000 created")
		testkit.WantParts(t, got.stderr, "1000 of 1001 lines applied as delivery", `goods "z"`)

		run("stock", "set", "z", "0").want(t, cli.ExitOK)
		testkit.WantParts(t, again().want(t, cli.ExitOK).stdout, "1001 of 1001 lines as delivery: 0 created, 1 changed, 0 as they were, 1000 applied before")
		run("audit").want(t, cli.ExitOK)
	})
	t.Run("an empty file is nothing to do", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "goods_id,num\n"} {
			consume(t, text, "stock", "import", "-", "--database-url", servers.DatabaseURL).want(t, cli.ExitNothing)
		}
	})
	t.Run("no file, two files, and one that is not there", func(t *testing.T) {
		t.Parallel()
		testkit.WantParts(t, run("stock", "import").want(t, cli.ExitUsage).stderr, "a file is needed")
		testkit.WantParts(t, run("stock", "import", file, "--file", file).want(t, cli.ExitUsage).stderr, "given twice")
		testkit.WantParts(t, run("stock", "import", file+"x").want(t, cli.ExitUsage).stderr, "no such file")
	})
}
