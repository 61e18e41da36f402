package app

import (
	"database/sql"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/audit"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/embedded"
	"orderconsumer/internal/report"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/stocktest"
	"orderconsumer/internal/testkit"
)

// behindTheBack opens the database without the ledger.
func behindTheBack(t *testing.T, s *testkit.Servers) *sql.DB {
	t.Helper()
	path, ok := strings.CutPrefix(s.DatabaseURL, embedded.DatabaseScheme)
	if !ok {
		return stocktest.Admin(t, s.DatabaseURL)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestAudit(t *testing.T) {
	t.Parallel()
	servers := testkit.Start(t)
	run := at(t, servers)
	run("stock", "set", "apple", "5").want(t, cli.ExitOK)
	l := servers.OpenLedger(t)
	for _, request := range []stock.Request{
		{Order: "A-1", Action: stock.Deduct, Lines: []stock.Line{{Goods: "apple", Num: 2}}, Attempt: 1},
		{Order: "A-2", Action: stock.Deduct, Lines: []stock.Line{{Goods: "apple", Num: 9}}, Attempt: 1},
		{Order: "A-3", Action: stock.Deduct, Lines: []stock.Line{{Goods: "apple", Num: 1}}, Attempt: 1},
	} {
		_, err := l.Apply(t.Context(), []stock.Request{request})
		if err != nil {
			t.Fatal(err)
		}
	}

	got := run("audit").want(t, cli.ExitOK)
	if !strings.HasPrefix(got.stdout, "clean: 3 orders (2 deducted, 1 rejected), 1 goods id, 3 movements, in ") || got.stderr != "" {
		t.Errorf("clean: %+v", got)
	}

	_, err := behindTheBack(t, servers).ExecContext(t.Context(), "DELETE FROM movements WHERE ref = ?", []byte("A-1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("as a table", func(t *testing.T) {
		t.Parallel()
		got := run("audit").want(t, cli.ExitFailed)
		testkit.WantParts(t, got.stdout,
			"RULE                           ORDER                 GOODS                 DETAIL\n",
			"deducted_order_not_whole       A-1                   -                     asked for \"apple\":2, took nothing",
			"level_is_not_sum_of_movements  -                     apple                 available 2, sum of movements 4\n",
			"\n2 findings: 3 orders (2 deducted, 1 rejected), 1 goods id, 2 movements, in ",
		)
		testkit.WantParts(t, got.stderr, "the database does not hold what is promised of it: 2 findings")
	})
	t.Run("as one object a line, the last one the summary", func(t *testing.T) {
		t.Parallel()
		got := run("audit", "-o", "jsonl").want(t, cli.ExitFailed)
		lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
		if len(lines) != 3 {
			t.Fatalf("got %s", got.stdout)
		}
		var f report.Finding
		err := json.Unmarshal([]byte(lines[1]), &f)
		want := report.Finding{Rule: audit.Rule(stock.RuleSum), GoodsID: "apple", Detail: "available 2, sum of movements 4"}
		if diff := cmp.Diff(want, f); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		testkit.WantParts(t, lines[2], `{"summary":{"clean":false,"findings":2,"orders":3,"orders_by_state":{"deducted":2,"rejected":1}`)
	})
	t.Run("as one object", func(t *testing.T) {
		t.Parallel()
		got := run("audit", "-o", "json").want(t, cli.ExitFailed)
		var whole struct {
			Findings []report.Finding `json:"findings"`
			Summary  report.Summary   `json:"summary"`
		}
		err := json.Unmarshal([]byte(got.stdout), &whole)
		if err != nil || len(whole.Findings) != 2 || whole.Summary.Clean || whole.Summary.Movements != 2 {
			t.Errorf("got %s: %v", got.stdout, err)
		}
	})
}

func TestAuditThatBreaksOffIsNotTakenForAWholeOne(t *testing.T) {
	t.Parallel()
	servers := testkit.Start(t)
	_, err := behindTheBack(t, servers).ExecContext(t.Context(), "DROP TABLE stock")
	if err != nil {
		t.Fatal(err)
	}
	got := at(t, servers)("audit", "-o", "json")
	if got.code == cli.ExitOK {
		t.Errorf("got %+v", got)
	}
	var whole struct {
		Error   string          `json:"error"`
		Summary *report.Summary `json:"summary"`
	}
	err = json.Unmarshal([]byte(got.stdout), &whole)
	if err != nil || whole.Error == "" || whole.Summary != nil {
		t.Errorf("got %s: %v", got.stdout, err)
	}
}
