package order

import (
	"strings"
	"time"
)

// Topics are the names a consumer group works with. Retry and dead-letter
// topics belong to the group: other groups must not see our failures again.
type Topics struct {
	Input   string
	Results string
	Tiers   []Tier // in the order of their delays
	Dead    string
}

// Tier is one retry topic: what stands in it is worked on again when Delay has
// passed since it failed.
type Tier struct {
	Topic string
	Delay time.Duration
}

// NewTopics names the topics of a group that reads input: input.results,
// input.<group>.retry.<delay> for each delay, and input.<group>.dlq.
func NewTopics(input, group string, delays []time.Duration) Topics {
	t := Topics{
		Input:   input,
		Results: input + ".results",
		Dead:    input + "." + group + ".dlq",
	}
	for _, delay := range delays {
		t.Tiers = append(t.Tiers, Tier{
			Topic: TierPrefix(input, group) + delayName(delay),
			Delay: delay,
		})
	}
	return t
}

// TierPrefix begins the names of all retry topics of a group.
func TierPrefix(input, group string) string { return input + "." + group + ".retry." }

// Consumed are the topics the group reads: the input and every retry tier.
func (t Topics) Consumed() []string {
	names := []string{t.Input}
	for _, tier := range t.Tiers {
		names = append(names, tier.Topic)
	}
	return names
}

// All are the topics that must exist before the group is joined.
func (t Topics) All() []string {
	return append(t.Consumed(), t.Dead, t.Results)
}

// Next is the tier for an event whose attempt-th attempt has failed; ok is
// false when it has been through all of them.
func (t Topics) Next(attempt int) (tier Tier, ok bool) {
	if attempt < 1 || attempt > len(t.Tiers) {
		return Tier{}, false
	}
	return t.Tiers[attempt-1], true
}

// delayName writes 5s, 30s, 5m or 1h30m: the shortest form of a duration.
func delayName(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
