// Package app carries out the commands of the programs: consumer and producer. Only main
// functions and tests import it.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/instance"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// OpenLedger opens the database of a URL, which may hold a password.
type OpenLedger func(ctx context.Context, url string) (*ledger.Ledger, error)

// ConsumerProgram is the consumer with its commands. The zero value is the one
// that is run for real.
type ConsumerProgram struct {
	// Name is what the program is called in messages; empty means consumer.
	Name string
	// OpenLedger opens the database; nil means MySQL or MariaDB.
	OpenLedger OpenLedger
}

// Consumer carries out one command line of the consumer and returns the code to
// exit with.
func Consumer(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// Checks tell what becomes of a connection; the client's own log is the
	// process's, so it is set where the process begins.
	quietRedis(slog.New(slog.DiscardHandler))
	instance.CollectRarely(1)
	return ConsumerProgram{}.Run(args, stdin, stdout, stderr)
}

// Run carries out one command line and returns the code to exit with.
func (p ConsumerProgram) Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return p.program().Run(args, cli.Streams{Stdin: stdin, Stdout: stdout, Stderr: stderr})
}

// consumerHelp opens the help of the program.
const consumerHelp = `Takes orders from Kafka and deducts them from the stock: each at most once, never more than there is.

Settings come from flags, else from the environment, else from the defaults shown. The defaults fit the servers of docker-compose.yml.`

func (p ConsumerProgram) program() cli.Program {
	name, open := p.Name, p.OpenLedger
	if name == "" {
		name = "consumer"
	}
	if open == nil {
		open = openLedger
	}
	return cli.Program{Name: name, Help: consumerHelp, Commands: newConsumerCommands(open), Before: warnInsecure}
}

// openLedger opens MySQL or MariaDB: the databases a consumer is run on.
func openLedger(ctx context.Context, url string) (*ledger.Ledger, error) {
	return ledger.Open(ctx, ledger.Config{URL: url})
}

// consumerCommands are the commands of the consumer.
type consumerCommands struct {
	Run     runCommand         `cmd:"" default:"withargs" help:"Consume order events until stopped; the default command."`
	Migrate migrateCommand     `cmd:"" help:"Create the tables, or bring them up to date."`
	Stock   stockCommands      `cmd:"" help:"Read and change stock levels."`
	Audit   auditCommand       `cmd:"" help:"Hold every row of the database against what is promised of it."`
	Group   groupCommands      `cmd:"" help:"Look at the consumer group, and move its place in the log."`
	Job     jobCommands        `cmd:"" help:"Look at the jobs that one instance runs, and run them by hand."`
	Doctor  doctorCommand      `cmd:"" help:"Examine everything a consumer needs, and say how to mend it."`
	Drill   drillCommand       `cmd:"" help:"Let consumers die on these servers, among topics and tables of the drill's own, and show what became of the orders."`
	Health  healthCommand      `cmd:"" help:"Ask the instance that runs on this machine how it is."`
	Version cli.VersionCommand `cmd:"" help:"Say which build this is."`
}

// newConsumerCommands gives every command that works on the database the way to
// open it.
func newConsumerCommands(open OpenLedger) *consumerCommands {
	c := &consumerCommands{}
	c.Run.open = open
	c.Migrate.open = open
	c.Stock.Import.open = open
	c.Stock.Set.open = open
	c.Stock.Add.open = open
	c.Stock.Get.open = open
	c.Stock.List.open = open
	c.Audit.open = open
	c.Job.List.open = open
	c.Job.Run.open = open
	c.Job.History.open = open
	c.Doctor.open = open
	c.Drill.open = open
	return c
}

// databaseCommand is the part of a command that works on the database alone.
type databaseCommand struct {
	Database settings.Database `embed:""`

	open OpenLedger
}

// connect opens the database as it is. The caller closes it.
func (c databaseCommand) connect(ctx context.Context, s *cli.Session) (*ledger.Ledger, error) {
	url, err := c.Database.Resolved()
	if err != nil {
		return nil, &cli.Failure{Code: cli.ExitUsage, Err: err}
	}
	done := s.Waiting("waiting for the database to answer")
	l, err := c.open(ctx, url)
	done()
	switch {
	case err == nil:
	case errors.Is(err, stock.ErrUnavailable) || ctx.Err() != nil:
		return nil, databaseFailure(ctx, err)
	default: // the URL makes no sense
		return nil, &cli.Failure{Code: cli.ExitUsage, Err: err, Try: settings.DatabaseFix(ctx, err)}
	}
	return l, nil
}

// connectMigrated is connect for a command that needs the tables.
func (c databaseCommand) connectMigrated(ctx context.Context, s *cli.Session) (*ledger.Ledger, error) {
	l, err := c.connect(ctx, s)
	if err != nil {
		return nil, err
	}
	pending, err := l.Pending(ctx)
	if err == nil && len(pending) > 0 {
		err = &cli.Failure{
			Code: cli.ExitFailed,
			Err:  fmt.Errorf("the database lacks %s, the first is %s", cli.Counted(len(pending), "migration"), pending[0]),
			Try:  "consumer migrate", // of whichever program this is
		}
	}
	if err != nil {
		_ = l.Close() // the error at hand is the one to tell
		return nil, databaseFailure(ctx, err)
	}
	return l, nil
}

// databaseFailure is settings.DatabaseFailure.
func databaseFailure(ctx context.Context, err error) error { return settings.DatabaseFailure(ctx, err) }
