package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"orderconsumer/internal/app"
	"orderconsumer/internal/cli"
	"orderconsumer/internal/embedded"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/ledger/sqlite"
)

// openLedger opens the database of a demo.
func openLedger(ctx context.Context, url string) (*ledger.Ledger, error) {
	path, ok := strings.CutPrefix(url, embedded.DatabaseScheme)
	if !ok {
		return nil, fmt.Errorf("database %q: a demo's begins with %s", url, embedded.DatabaseScheme)
	}
	return sqlite.Open(ctx, sqlite.Config{Path: path})
}

// lookInside carries out a command of the consumer that reads the running
// demo's database. Those that write are refused: the demo's own audit counts
// what it has delivered, and would take them for a mistake of the consumer.
func lookInside(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if args[0] == "stock" && len(args) > 1 && slices.Contains([]string{"add", "set", "import"}, args[1]) {
		fmt.Fprintf(stderr, "demo: stock %s: the demo's stock is delivered by the demo alone\n  try: go run ./cmd/demo stock list\n", args[1])
		return int(cli.ExitUsage)
	}
	post, err := newSignpost("").find()
	if err != nil {
		fmt.Fprintf(stderr, "demo: %v\n  try: %s\n", err, tryOpening)
		return int(cli.ExitUnreachable)
	}
	program := app.ConsumerProgram{Name: "demo", OpenLedger: openLedger}
	// A flag and not a default: DATABASE_URL may be set for the real servers.
	return program.Run(append(slices.Clone(args), "--database-url="+post.DatabaseURL), stdin, stdout, stderr)
}
