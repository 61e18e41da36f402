package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
)

const (
	// drawEvery is how often a terminal is drawn anew.
	drawEvery = 500 * time.Millisecond
	// barWidth is how long a full level is drawn.
	barWidth = 30
)

// screen is where the shop is shown.
type screen struct {
	to       io.Writer
	terminal bool
	file     int // descriptor of the terminal
	drawn    int // lines of the last drawing, which the next one covers
}

// screen chooses where the shop is shown: standard output, unless that is for a
// program to read.
func (c *runCommand) screen(session *cli.Session) io.Writer {
	if c.Output != "text" {
		return session.Stderr
	}
	return session.Stdout
}

func newScreen(to io.Writer) *screen {
	s := &screen{to: to}
	if file, ok := to.(interface{ Fd() uintptr }); ok && os.Getenv("TERM") != "dumb" {
		s.file = int(file.Fd())
		s.terminal = term.IsTerminal(s.file)
	}
	return s
}

func (s *screen) every() time.Duration {
	if s.terminal {
		return drawEvery
	}
	return cli.LineEvery
}

// show writes the scene, over the last one on a terminal.
func (s *screen) show(now *scene) {
	text := now.line()
	if s.terminal {
		width, _, err := term.GetSize(s.file)
		if err != nil || width <= 0 {
			width = usualWidth
		}
		text = s.over(narrowed(now.table(), width))
	}
	_, _ = io.WriteString(s.to, text) // whoever closed it does not want to see it
}

// usualWidth is that of a terminal which does not tell.
const usualWidth = 80

// over draws a table over the last one: up to its first line, and everything
// below cleared.
func (s *screen) over(table string) string {
	up := s.drawn
	s.drawn = strings.Count(table, "\n")
	if up == 0 {
		return table
	}
	return fmt.Sprintf("\x1b[%dA\x1b[J%s", up, table)
}

// narrowed cuts the lines of an ASCII table: a line that wraps would be two,
// and the next drawing would begin too low.
func narrowed(table string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(table) {
		line = strings.TrimSuffix(line, "\n")
		b.WriteString(line[:min(len(line), max(width-1, 1))] + "\n")
	}
	return b.String()
}

// level is one goods as it is shown.
type level struct {
	goods           string
	available, full int64
}

// scene is the shop at one moment.
type scene struct {
	levels    []level
	published int64
	perSecond float64
	outcomes  map[string]int64 // by type
	retried   int64
	waiting   int64
	consumers int
}

// counts are the outcomes so far, in a fixed order.
func (n *scene) counts() string {
	return fmt.Sprintf("deducted %d  rejected %d  released %d  voided %d",
		n.outcomes[order.OutcomeDeducted], n.outcomes[order.OutcomeRejected],
		n.outcomes[order.OutcomeReleased], n.outcomes[order.OutcomeVoided])
}

// troubles are the events that had no outcome at once.
func (n *scene) troubles() string {
	return fmt.Sprintf("retried %d  dead %d  waiting %d", n.retried, n.outcomes[order.OutcomeDead], n.waiting)
}

// line is the scene for a log.
func (n *scene) line() string {
	var out []string
	for _, l := range n.levels {
		if l.available == 0 {
			out = append(out, l.goods)
		}
	}
	soldOut := "nothing"
	if len(out) > 0 {
		soldOut = strings.Join(out, " ")
	}
	return fmt.Sprintf("published %d  %s  %s  consumers %d  sold out: %s\n",
		n.published, n.counts(), n.troubles(), n.consumers, soldOut)
}

// table is the scene for a terminal.
func (n *scene) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "published %d (%.0f/s)  %s  consumers %d\n", n.published, n.perSecond, n.troubles(), n.consumers)
	for _, l := range n.levels {
		filled := 0
		if l.full > 0 {
			filled = int(min(barWidth, math.Ceil(barWidth*float64(l.available)/float64(l.full))))
		}
		note := ""
		if l.available == 0 {
			note = "  sold out"
		}
		fmt.Fprintf(&b, "%-10s %s%s %6d%s\n", l.goods, strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), l.available, note)
	}
	b.WriteString(n.counts() + "\n")
	return b.String()
}

// watch shows the shop until it is stopped.
type watch struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	counts map[string]int64 // outcomes by type, duplicates included
}

// watch begins to show the shop. It ends with ctx: what is said after that
// must not be drawn over.
func (s *shop) watch(ctx context.Context, on *screen) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel, counts: make(map[string]int64)}
	w.done.Go(func() {
		err := s.follow(ctx, s.topics.Results, w.count)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("outcomes are no longer counted", "error", err)
		}
	})
	w.done.Go(func() {
		tick := time.NewTicker(on.every())
		defer tick.Stop()
		var last *scene
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now, err := s.look(ctx, w)
			if err != nil {
				continue // the log of the consumer tells what is wrong
			}
			if last != nil {
				now.perSecond = float64(now.published-last.published) / on.every().Seconds()
			}
			on.show(now)
			last = now
		}
	})
	return w
}

func (w *watch) stop() {
	w.cancel()
	w.done.Wait()
}

func (w *watch) count(m order.Message) {
	kind, _ := m.Header(order.HeaderType)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[string(kind)]++
}

// look takes the shop in as it is now.
func (s *shop) look(ctx context.Context, w *watch) (*scene, error) {
	now := &scene{}
	w.mu.Lock()
	now.outcomes = maps.Clone(w.counts)
	w.mu.Unlock()
	group := s.settings.Group.Group
	positions, err := s.client.Positions(ctx, group, s.topics.Consumed())
	if err != nil {
		return nil, err
	}
	for _, p := range positions {
		now.waiting += p.Lag()
		if p.Topic == s.topics.Input {
			now.published += p.End
		} else {
			now.retried += p.End
		}
	}
	members, err := s.client.DescribeGroup(ctx, group)
	if err != nil {
		return nil, err
	}
	now.consumers = len(members.Members)
	levels, err := s.ledger.List(ctx, "", liveGoods)
	if err != nil {
		return nil, err
	}
	delivered := s.warehouse.delivered()
	for _, l := range levels {
		now.levels = append(now.levels, level{goods: l.Goods, available: l.Available, full: delivered[l.Goods]})
	}
	slices.SortFunc(now.levels, func(a, b level) int { return rank(a.goods) - rank(b.goods) })
	return now, nil
}
