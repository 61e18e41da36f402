package app

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/embedded"
	"orderconsumer/internal/stock/stocktest"
	"orderconsumer/internal/testkit"
)

// emptyDatabase is one without tables.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	if testkit.Real() {
		return stocktest.NewDatabase(t, stocktest.MySQLEnv)
	}
	return embedded.DatabaseScheme + filepath.Join(t.TempDir(), "shop.db")
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	database := emptyDatabase(t)
	run := func(args ...string) answer { return consume(t, "", append(args, "--database-url", database)...) }

	got := run("stock", "list").want(t, cli.ExitFailed)
	testkit.WantParts(t, got.stderr, "the database lacks ", "try: consumer migrate")

	got = run("migrate", "--status").want(t, cli.ExitOK)
	if !strings.HasPrefix(got.stdout, "pending 0") {
		t.Errorf("status: %q", got.stdout)
	}
	var status migrated
	err := json.Unmarshal([]byte(run("migrate", "--status", "-o", "json").want(t, cli.ExitOK).stdout), &status)
	if err != nil || len(status.Pending) == 0 || len(status.Applied) != 0 {
		t.Errorf("status: %+v, %v", status, err)
	}

	got = run("migrate").want(t, cli.ExitOK)
	if want := "applied " + strings.Join(status.Pending, "\napplied ") + "\n"; got.stdout != want {
		t.Errorf("migrate writes %q, want %q", got.stdout, want)
	}
	for _, args := range [][]string{{"migrate"}, {"migrate", "--status"}} {
		if got := run(args...).want(t, cli.ExitOK); got.stdout != "nothing to do\n" {
			t.Errorf("%v, once more: %q", args, got.stdout)
		}
	}
	if got := run("migrate", "-o", "json").want(t, cli.ExitOK); got.stdout != `{"applied":[],"pending":[]}`+"\n" {
		t.Errorf("json: %q", got.stdout)
	}
}
