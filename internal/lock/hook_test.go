package lock_test

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// commands is a hook that writes down what its clients send.
type commands struct {
	mu   sync.Mutex
	sent [][]any
}

// named returns the commands of that name with their arguments.
func (c *commands) named(name string) [][]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found [][]any
	for _, args := range c.sent {
		if args[0] == name {
			found = append(found, args)
		}
	}
	return found
}

// ProcessHook implements redis.Hook.
func (c *commands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.mu.Lock()
		c.sent = append(c.sent, slices.Clone(cmd.Args()))
		c.mu.Unlock()
		return next(ctx, cmd)
	}
}

// DialHook implements redis.Hook.
func (c *commands) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (c *commands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
