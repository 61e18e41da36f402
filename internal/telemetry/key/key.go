// Package key names the attributes of log lines, so that one thing is called
// the same in every line of every package. It imports nothing of the project
// and may be imported by all of it.
package key

import (
	"log/slog"
	"time"
)

// Where in the log something stands.
const (
	Topic      = "topic"
	Partition  = "partition"
	Offset     = "offset"
	Group      = "group"
	Generation = "generation"
)

// What it is about.
const (
	OrderID = "order_id"
	EventID = "event_id"
	GoodsID = "goods_id"
	Orders  = "orders" // a number of them
	Goods   = "goods"  // a number of them
)

// What became of it.
const (
	Outcome    = "outcome"
	Code       = "code"
	Tier       = "tier"
	Attempt    = "attempt"
	Reason     = "reason"
	Error      = "error"
	DurationMS = "duration_ms"
)

// Parts of the program and the world.
const (
	Dependency = "dependency"
	Worker     = "worker"
	Addr       = "addr"
	Method     = "method"
	Route      = "route"
	Path       = "path"
	Status     = "status"
	Bytes      = "bytes"
	Stack      = "stack"
	Version    = "version"
)

// Err is the attribute of an error.
func Err(err error) slog.Attr { return slog.Any(Error, err) }

// Took is the attribute of a duration, in milliseconds and fractions.
func Took(d time.Duration) slog.Attr {
	return slog.Float64(DurationMS, float64(d.Microseconds())/1000)
}
