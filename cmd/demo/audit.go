package main

import (
	"context"

	"orderconsumer/internal/proof"
)

// audit holds the topics, the ledger and what was published and delivered
// against each other. The consumers must have stopped.
func (s *shop) audit(ctx context.Context) (*proof.Report, error) {
	c := proof.Case{
		Client:    s.client,
		Ledger:    s.ledger,
		Group:     s.settings.Group.Group,
		Topics:    s.topics,
		Delivered: s.warehouse.delivered(),
	}
	for _, w := range s.waves {
		c.Loads = append(c.Loads, proof.Load{Workload: w.load, Sent: w.sent})
	}
	return proof.Examine(ctx, c)
}
