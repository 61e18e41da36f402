package instance

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent lets the heap grow to five times what is live before garbage is
	// collected. What is live is small, because all that waits is bounded; with
	// Go's default a third of a busy consumer's CPU went into collecting.
	gcPercent = 400
	// memoryLimit makes collection eager again before the heap gets larger than
	// the consumer is meant to be. It is a soft limit: nothing fails at it.
	memoryLimit = 96 << 20
)

// CollectRarely sets how garbage is collected in a process of so many consumers,
// unless the environment does. A program has one; a benchmark may have several.
func CollectRarely(consumers int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(consumers) * memoryLimit)
	}
}
