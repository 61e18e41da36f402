package app

import (
	"encoding/json"
	"path/filepath"
	"slices"
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

// A migration that the server refuses is no server that is away, whichever command
// applies it.
func TestMigrationThatIsRefused(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	database := emptyDatabase(t)
	p.args[slices.Index(p.args, "--database-url")+1] = database
	p.servers.DatabaseURL = database
	if _, err := behindTheBack(t, p.servers).ExecContext(t.Context(), "CREATE TABLE stock (other INT)"); err != nil {
		t.Fatal(err)
	}
	for _, got := range []answer{p.run("run", "--exit-at-end", "--migrate"), consume(t, "", "migrate", "--database-url", database)} {
		testkit.WantParts(t, got.want(t, cli.ExitFailed).stderr, "migrate: ", "stock", "exists")
	}
}

// Brokers that answer and will not make a topic are no brokers that are away.
func TestTopicsThatAreRefused(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	got := p.run("run", "--exit-at-end", "--replication", "7").want(t, cli.ExitFailed)
	testkit.WantParts(t, got.stderr, "create topic ", "replication 7", "try: consumer doctor")
	if strings.Contains(got.stderr, "no answer") {
		t.Error(got.stderr)
	}
}
