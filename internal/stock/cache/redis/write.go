package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"orderconsumer/internal/stock/cache"
)

// Begin implements cache.Store.
func (s *Store) Begin(ctx context.Context, token string, goods []string) (map[string]cache.Entry, error) {
	args := make([]any, 0, 2+len(goods))
	args = append(args, token, tokenLife.Milliseconds())
	for _, id := range goods {
		args = append(args, id)
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	reply, err := s.scripts.begin.Run(ctx, s.client, s.keys(goods), args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("begin to rebuild %d goods in the cache: %w", len(goods), err)
	}
	return entries(goods, reply)
}

// Fill implements cache.Store.
func (s *Store) Fill(ctx context.Context, token string, list []cache.Entry) (map[string]cache.Entry, error) {
	args := make([]any, 0, 3+7*len(list))
	args = append(args, token, s.cfg.UnknownTTL.Milliseconds(), s.cfg.UnknownMost)
	goods := make([]string, len(list))
	for i := range list {
		goods[i] = list[i].Level.Goods
		args = append(s.values(args, &list[i]), goods[i])
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	reply, err := s.scripts.fill.Run(ctx, s.client, s.keys(goods), args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("fill %d goods into the cache: %w", len(goods), err)
	}
	return entries(goods, reply)
}

// Refresh implements cache.Store.
func (s *Store) Refresh(ctx context.Context, list []cache.Entry) error {
	args := make([]any, 0, 6*len(list))
	keys := make([]string, len(list))
	for i := range list {
		e := list[i]
		e.Cost = costDefault
		keys[i] = s.levelKey(e.Level.Goods)
		args = s.values(args, &e)
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	err := s.scripts.refresh.Run(ctx, s.client, keys, args...).Err()
	if err != nil {
		return fmt.Errorf("refresh %d goods in the cache: %w", len(list), err)
	}
	return nil
}

// entries reads what begin and fill answer.
func entries(goods []string, reply []any) (map[string]cache.Entry, error) {
	if len(reply) != len(goods)+1 {
		return nil, fmt.Errorf("cache answered %d values for %d goods", len(reply), len(goods))
	}
	clock, _ := reply[0].(string)
	now, err := strconv.ParseInt(clock, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("cache told the time as %q: %w", clock, err)
	}
	found := make(map[string]cache.Entry, len(goods))
	for i, id := range goods {
		text, _ := reply[i+1].(string) // nothing is nil
		if left, is := strings.CutPrefix(text, "!"); is {
			ms, err := strconv.ParseInt(left, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("cache has goods %q unknown for %q: %w", id, left, err)
			}
			found[id] = unknown(id, now, time.Duration(ms)*time.Millisecond)
			continue
		}
		if e, ok := parse(id, text, now); ok {
			found[id] = e
		}
	}
	return found, nil
}
