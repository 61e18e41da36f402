package app

import (
	"context"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// levels are the ledger's levels as the API asks for them.
type levels struct{ *ledger.Ledger }

// GetMany implements web.Levels.
func (l levels) GetMany(ctx context.Context, goods []string) ([]stock.Level, error) {
	found, err := l.Levels(ctx, goods)
	if err != nil {
		return nil, err
	}
	list := make([]stock.Level, 0, len(found))
	for _, id := range goods {
		if level, ok := found[id]; ok {
			list = append(list, level)
		}
	}
	return list, nil
}
