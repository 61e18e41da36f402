package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/replay"
)

// replayPage is a replay for a person.
func replayPage(o *replay.Object, program string) string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s  %s\n", name, fmt.Sprintf(format, args...))
	}
	row("replay", "%s", o.ID)
	row("kind", "%s", o.Kind)
	row("state", "%s", stateOf(o))
	row("begun", "%s by %s", cli.UTC(o.CreatedAt), cli.Shown(o.Who))
	row("reason", "%s", cli.Shown(o.Reason))
	row("holder", "%s, last heard of %s ago", o.Holder, o.Silent.Round(time.Second))
	for i, r := range o.Ranges {
		if i == rangesShown {
			row("", "and %d more; -o json lists all", len(o.Ranges)-rangesShown)
			break
		}
		row("range", "%s, next %d", r, max(r.From, o.Progress.Positions[r.Topic][r.Partition]))
	}
	specRows(o.Spec, row)
	p := &o.Progress
	row("published", "%d of %d", p.Published, p.Total)
	for _, class := range slices.Sorted(maps.Keys(p.Skipped)) {
		row("skipped", "%d %s: %s", p.Skipped[class], class, class.Meaning())
	}
	row("failed", "%d again: %d went to the next tier, %d are dead", p.FailedAgain(), p.Retried, p.Dead)
	row("stage", "%d, %d published in it", p.Stage+1, p.InStage)
	if o.Note != "" {
		row("note", "%s", graphic(o.Note, ""))
	}
	if o.State == replay.Stopped || o.Interrupted() {
		row("next", "%s replay resume %s, or %s replay cancel %s", program, o.ID, program, o.ID)
	}
	return b.String()
}

// specRows say what a replay was told to do.
func specRows(text []byte, row func(name, format string, args ...any)) {
	var spec replaySpec
	if err := json.Unmarshal(text, &spec); err != nil { // of another version
		row("spec", "%s", graphic(string(text), ""))
		return
	}
	row("selected", "%s: %s", spec.Topic, spec.selected())
	if f := filterText(&spec.Filter); f != "" {
		row("filter", "%s", f)
	}
	var tiers []string
	for _, d := range spec.RetryAfter {
		tiers = append(tiers, d.String())
	}
	row("group", "%s, which reads %s; retry after %s", spec.Group, spec.Input, strings.Join(tiers, ", "))
	row("target", "%s", spec.Target)
	audited := ""
	if spec.Audit {
		audited = "; audited after each stage"
	}
	rate := "as many messages a second as there can be"
	if spec.Rate > 0 {
		rate = fmt.Sprintf("at most %g messages a second", spec.Rate)
	}
	row("pace", "ramp %s; %s; up to %g%% may fail again; patience %s%s", spec.Ramp, rate, 100*spec.MaxFailed, spec.Patience, audited)
	limits := []string{fmt.Sprintf("each message at most %s", cli.Counted(spec.MaxReplays, "time"))}
	if spec.MaxMessages > 0 {
		limits = append(limits, "at most "+cli.Counted64(spec.MaxMessages, "message"))
	}
	if spec.ChangesOnly {
		limits = append(limits, "only what changes something")
	}
	if spec.Horizon > 0 {
		limits = append(limits, "dedup horizon "+spec.Horizon.String())
	}
	row("limits", "%s", strings.Join(limits, "; "))
}

// selected is which part of its topic a replay takes.
func (s *replaySpec) selected() string {
	if s.What != "" {
		return s.What
	}
	return fmt.Sprintf("from %s (inclusive) to %s (exclusive)", s.From, s.To)
}

// filterText is a filter in words; empty for one that takes all.
func filterText(f *replay.Filter) string {
	var parts []string
	for _, of := range []struct {
		name string
		list []string
	}{{"order", f.Orders}, {"goods", f.Goods}, {"type", f.Types}} {
		for _, one := range of.list {
			parts = append(parts, of.name+" "+cli.Shown(one))
		}
	}
	for _, h := range f.Headers {
		parts = append(parts, fmt.Sprintf("header %s=%s", cli.Shown(h.Name), cli.Shown(h.Value)))
	}
	const shown = 20 // more would not be read
	if len(parts) > shown {
		parts = append(parts[:shown], fmt.Sprintf("and %d more; -o json lists all", len(parts)-shown))
	}
	return strings.Join(parts, ", ")
}
