package app

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/drill"
	"orderconsumer/internal/embedded"
	"orderconsumer/internal/proof"
	"orderconsumer/internal/testkit"
)

// drillArguments are those of a short drill on the test's servers. The embedded
// database cannot make another one, so it is lent.
func drillArguments(t *testing.T, more ...string) []string {
	t.Helper()
	servers := testkit.Start(t)
	args := []string{
		"drill", "--orders=600", "--kills=1", "--instances=1", "--partitions=3", "--seed=7", "-o", "json",
		"--kafka-brokers=" + strings.Join(servers.Brokers, ","), "--redis-url=" + strings.Join(servers.RedisURLs, ","),
	}
	if testkit.Real() {
		return append(append(args, "--database-url="+servers.DatabaseURL), more...)
	}
	empty := embedded.DatabaseScheme + filepath.Join(t.TempDir(), "empty.db")
	return append(append(args, "--empty-database", "--database-url="+empty), more...)
}

func TestDrill(t *testing.T) {
	t.Setenv(childVariable, "1") // the drill starts this program again
	args := drillArguments(t)
	var out, talk strings.Builder
	code := ConsumerProgram{OpenLedger: testkit.OpenLedger}.Run(args, strings.NewReader(""), &out, &talk)
	var got shownDrill
	err := json.Unmarshal([]byte(out.String()), &got)
	if code != int(cli.ExitOK) || err != nil {
		t.Fatalf("got code %d and %v; it said:\n%s", code, err, talk.String())
	}
	if !got.Kept || got.Kills != 1 || len(got.Steps) != 3 || got.Seed != 7 || got.Dead == 0 ||
		got.Orders["deducted"] == 0 || got.Orders["rejected"] == 0 {
		t.Errorf("got %+v, want one kill, three steps, and orders of every kind", got)
	}
}

// One event that was lost is one finding, and no other one beside it.
func TestDrillCountsWhatWasLostOnce(t *testing.T) {
	t.Parallel()
	result := &drill.Result{Report: &proof.Report{Lost: 1, Wrong: 1, Findings: []string{"order A-1 has no end"}}}
	for output, want := range map[string]string{"text": "wrong in all", "json": `"wrong":1`} {
		var out bytes.Buffer
		s := &cli.Session{Name: "consumer", Stdout: &out, Stderr: cli.NewTalker(io.Discard)}
		c := drillCommand{OutputSettings: cli.OutputSettings{Output: output}}
		err := c.tell(s, result)
		if err == nil || !strings.Contains(err.Error(), "not kept: 1 finding;") {
			t.Errorf("%s: ends with %v", output, err)
		}
		testkit.WantParts(t, out.String(), want, "lost", "order A-1 has no end")
		if strings.Contains(out.String(), "other findings") {
			t.Errorf("%s: the lost one is called another one: %s", output, out.String())
		}
	}
}

func TestDrillTouchesNobodysTables(t *testing.T) {
	t.Parallel()
	if testkit.EmbeddedOnly(t, "a drill on real servers makes a database of its own, as TestDrill has it do") {
		return
	}
	args := drillArguments(t)
	servers := testkit.Start(t)
	args = append(args, "--database-url="+servers.DatabaseURL)
	var out, talk strings.Builder
	code := ConsumerProgram{OpenLedger: testkit.OpenLedger}.Run(args, strings.NewReader(""), &out, &talk)
	if code != int(cli.ExitUsage) || !strings.Contains(talk.String(), "not empty") {
		t.Errorf("got code %d and %q, want %d for a database that holds tables", code, talk.String(), cli.ExitUsage)
	}
	tables, err := servers.OpenLedger(t).Tables(t.Context())
	if err != nil || len(tables) == 0 {
		t.Errorf("got tables %v and %v: they are gone", tables, err)
	}
}

func TestDrillRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--orders=1", "--kills=-1", "--instances=0", "--session-timeout=1ms", "--partitions=2", "--replication=0"} {
		var out, talk strings.Builder
		code := ConsumerProgram{}.Run([]string{"drill", flag}, strings.NewReader(""), &out, &talk)
		if code != int(cli.ExitUsage) {
			t.Errorf("%s: got code %d and %q, want %d", flag, code, talk.String(), cli.ExitUsage)
		}
	}
}
