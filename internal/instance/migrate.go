package instance

import (
	"context"

	"orderconsumer/internal/cli"
)

// Migrate creates the tables, or brings them up to date.
func (i *Instance) Migrate(ctx context.Context) error {
	applied, err := i.ledger.Migrate(ctx)
	if err != nil {
		return &cli.Failure{Code: cli.ExitUnreachable, Err: err, Try: "consumer doctor"}
	}
	for _, name := range applied {
		i.log.Info("migration applied", "migration", name)
	}
	return nil
}
