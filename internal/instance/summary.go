package instance

import (
	"fmt"
	"time"

	"orderconsumer/internal/order"
)

// Summary is one line about what an instance has settled ([Instance.Settled]), and
// how long it took.
func Summary(counts map[string]int64, took time.Duration) string {
	total := int64(0)
	for _, n := range counts {
		total += n
	}
	return fmt.Sprintf("settled %d events in %s: %d deducted, %d rejected, %d released, %d voided, %d duplicates, %d retried, %d dead",
		total, took.Round(time.Millisecond), counts[order.SettledDeducted], counts[order.SettledRejected], counts[order.SettledReleased],
		counts[order.SettledVoided], counts[order.SettledDuplicate], counts[order.SettledRetried], counts[order.SettledDead])
}
