package app

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/replay"
)

// replayAnswer writes a plan, and what came of it: to a person as tables, to
// programs with every message.
type replayAnswer struct {
	cli.OutputSettings
	to    io.Writer
	shown int // most goods that are listed for a person
	count int64
	err   error // the first that writing met
}

func newReplayAnswer(to io.Writer, o cli.OutputSettings, shown int) *replayAnswer {
	return &replayAnswer{OutputSettings: o, to: to, shown: shown}
}

func (w *replayAnswer) print(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.to, format, args...)
	}
}

func (w *replayAnswer) json(v any) string {
	text, err := json.Marshal(v)
	if err != nil && w.err == nil {
		w.err = err
	}
	return string(text)
}

// plannedMessage is a message of a plan as it is written for programs.
type plannedMessage struct {
	Topic     string         `json:"topic"`
	Partition int            `json:"partition"`
	Offset    int64          `json:"offset"`
	Time      string         `json:"time"`
	OrderID   string         `json:"order_id,omitempty"`
	EventID   string         `json:"event_id,omitempty"`
	Type      string         `json:"type,omitempty"`
	Class     replay.Class   `json:"class"`
	Published bool           `json:"published"`
	Detail    string         `json:"detail,omitempty"`
	Short     []plannedShort `json:"short,omitempty"`
}

type plannedShort struct {
	GoodsID   string `json:"goods_id"`
	Wanted    int64  `json:"wanted"`
	Available int64  `json:"available"`
}

// visit is nil for a person, who is not shown single messages.
func (w *replayAnswer) visit() func(*replay.Step) error {
	if !w.Machine() {
		return nil
	}
	return func(step *replay.Step) error {
		m := &step.Message
		row := plannedMessage{
			Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Time: cli.UTC(m.Time),
			OrderID: step.Event.OrderID, EventID: step.Event.ID, Type: string(step.Event.Type),
			Class: step.Class, Published: step.Class.Published(), Detail: step.Detail,
		}
		for _, s := range step.Shortages {
			row.Short = append(row.Short, plannedShort{GoodsID: s.Goods, Wanted: s.Wanted, Available: s.Available})
		}
		switch {
		case w.Output == "jsonl":
			w.print("{\"message\":%s}\n", w.json(row))
		case w.count == 0:
			w.print(`{"messages":[%s`, w.json(row))
		default:
			w.print(",\n%s", w.json(row))
		}
		w.count++
		return w.err
	}
}

// shownPlan is a plan as it is written for programs.
type shownPlan struct {
	Topic  string         `json:"topic"`
	What   string         `json:"what,omitempty"` // where it is not a range
	From   string         `json:"from"`
	To     string         `json:"to"`
	Ranges []replay.Range `json:"ranges"`
	Target string         `json:"target"`
	Ramp   string         `json:"ramp"`
	*replay.Plan
	NoEffect bool    `json:"no_effect"`
	Seconds  float64 `json:"seconds"`
}

// plan writes the plan.
func (w *replayAnswer) plan(spec replaySpec, ranges []replay.Range, p *replay.Plan) {
	all := shownPlan{Topic: spec.Topic, What: spec.What, From: spec.From, To: spec.To, Ranges: ranges, Target: spec.Target, Ramp: spec.Ramp,
		Plan: p, NoEffect: p.NoEffect(), Seconds: p.Took.Seconds()}
	switch w.Output {
	case "text":
		w.tables(spec, ranges, p)
	case "jsonl":
		short := *p
		short.Goods, all.Plan = []replay.GoodsChange{}, &short
		for _, g := range p.Goods {
			w.print("{\"goods\":%s}\n", w.json(g))
		}
		w.print("{\"plan\":%s}\n", w.json(all))
	default:
		if w.count == 0 {
			w.print(`{"messages":[`)
		}
		w.print("],\n\"plan\":%s", w.json(all))
	}
}

// end writes what became of it, if it was carried out.
func (w *replayAnswer) end(o *replay.Object) {
	switch {
	case w.Output == "json" && o != nil:
		w.print(",\n\"replay\":%s}\n", w.json(shownReplayOf(o)))
	case w.Output == "json":
		w.print("}\n")
	case w.Output == "jsonl" && o != nil:
		w.print("{\"replay\":%s}\n", w.json(shownReplayOf(o)))
	}
}

// breakOff ends an answer that is not complete.
func (w *replayAnswer) breakOff(err error) {
	if w.Output != "json" {
		return
	}
	if w.count == 0 {
		w.print(`{"messages":[`)
	}
	w.print("],\"error\":%s}\n", w.json(err.Error()))
}

// tables write a plan for a person.
func (w *replayAnswer) tables(spec replaySpec, ranges []replay.Range, p *replay.Plan) {
	w.print("%s: %s, as of %s\n\n", spec.Topic, spec.selected(), cli.UTC(p.AsOf))
	w.print("%9s  %12s  %12s  %10s\n", "PARTITION", "FROM", "TO", "OFFSETS")
	for i, r := range ranges {
		if i == rangesShown {
			w.print("%s", rangesLeftOut(len(ranges)))
			break
		}
		w.print("%9d  %12d  %12d  %10d\n", r.Partition, r.From, r.To, r.Messages())
	}
	w.print("%9s  %12s  %12s  %10d\n\n", "", "", "", replay.Total(ranges))
	w.print("%10s  %-18s  %s\n", "MESSAGES", "CLASS", "WHAT WOULD HAPPEN")
	for _, c := range p.Classes {
		w.print("%10d  %-18s  %s\n", c.Messages, c.Class, c.Class.Meaning())
		if example := exampleOf(c); example != "" {
			w.print("%10s  %-18s    %s\n", "", "", example)
		}
	}
	w.goods(p)
	w.print("\n%d of %d messages would be published to %s", p.Publish, p.Scanned, spec.Target)
	switch {
	case p.NoEffect():
		w.print(": no stock changes.\n")
	case p.Contested > 0:
		w.print(". %s wanted more than there is: which orders get them is decided when they are applied,\nand levels may differ from these.\n",
			isOrAre(p.Contested, "goods"))
	default:
		w.print(".\n")
	}
	if p.Unsettled > 0 {
		w.print("%d of them group %s has not settled yet: it reads them in any case, with or without this replay.\n", p.Unsettled, spec.Group)
	}
	if p.Count(replay.WillDeduct) > 0 && spec.cutsOff() {
		w.print("Only a part of %s is selected: an order that was cancelled outside of it keeps what it takes here.\nAfterwards, consumer audit --log finds those (cancel_without_effect).\n", spec.Topic)
	}
	w.print("Planned in %s.\n", p.Took.Round(time.Millisecond))
}

// isOrAre counts things that are the subject of a sentence.
func isOrAre(n int, things string) string {
	if n == 1 {
		return "1 " + things + " is"
	}
	return fmt.Sprintf("%d %s are", n, things)
}

// exampleOf is worth a line where there is something to see in it.
func exampleOf(c replay.ClassCount) string {
	if c.Detail == "" || c.Class == replay.AlreadyApplied || c.Class == replay.Repeated || c.Class == replay.Unneeded {
		return ""
	}
	text := c.Example
	if c.OrderID != "" {
		text += " order " + cli.Shown(c.OrderID)
	}
	return "the first: " + text + ": " + graphic(c.Detail, "")
}

// goods list what would become of the goods.
func (w *replayAnswer) goods(p *replay.Plan) {
	if len(p.Goods) == 0 {
		return
	}
	w.print("\n%12s  %12s  %10s  %10s  %s\n", "BEFORE", "AFTER", "DEDUCTED", "RELEASED", "GOODS")
	for i, g := range p.Goods {
		if i == w.shown {
			w.print("%12s  and %d more; -o json lists all\n", "", len(p.Goods)-w.shown)
			break
		}
		note := ""
		if g.Contested {
			note = "  (wanted more than there is)"
		}
		w.print("%12d  %12d  %10d  %10d  %s%s\n", g.Before, g.After, g.Deducted, g.Released, cli.Shown(g.GoodsID), note)
	}
}
