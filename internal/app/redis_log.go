package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// redisLog takes what the Redis client would write to standard error by
// itself, a line for each failed dial. The lock reports what matters of it.
type redisLog struct{ log *slog.Logger }

// Printf implements the client's logger.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis client", "message", fmt.Sprintf(format, args...))
}

// quietRedis sends the Redis client's own log to log. The client has one for
// the whole process.
func quietRedis(log *slog.Logger) { redis.SetLogger(redisLog{log}) }
