package instance

import (
	"context"

	"orderconsumer/internal/settings"
)

// Migrate creates the tables, or brings them up to date.
func (i *Instance) Migrate(ctx context.Context) error {
	applied, err := i.ledger.Migrate(ctx)
	for _, name := range applied { // also before it failed
		i.log.Info("migration applied", "migration", name)
	}
	if err != nil {
		return settings.DatabaseFailure(ctx, err)
	}
	return nil
}
