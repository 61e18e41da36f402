package app

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/stock"
)

// replayTalk tells a person how a replay stands: by a bar on a terminal, by a
// line now and then elsewhere.
type replayTalk struct {
	session *cli.Session
	id      string
	total   int64
	bar     *progressbar.ProgressBar

	mu   sync.Mutex
	said time.Time
	// began is when this process was first told of the rest, and first what was
	// published by then. The stages before it are short, and wait longer than they
	// publish: they say nothing about how long the rest takes.
	began time.Time
	first int64
}

func newReplayTalk(s *cli.Session, o *replay.Object) *replayTalk {
	t := &replayTalk{session: s, id: o.ID, total: o.Progress.Total, said: time.Now()}
	if s.Stderr.Terminal {
		t.bar = progressbar.NewOptions64(max(t.total, 1),
			progressbar.OptionSetWriter(s.Stderr.Bar()),
			progressbar.OptionSetWidth(cli.BarWidth),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionShowDescriptionAtLineEnd(),
			progressbar.OptionUseANSICodes(true),
		)
	}
	return t
}

// tell implements replay.Executor's Tell.
func (t *replayTalk) tell(r replay.Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Rest && r.Phase == replay.PhasePublishing && t.began.IsZero() {
		t.began, t.first = time.Now(), r.Progress.Published
	}
	if !t.turn() {
		return
	}
	t.say(t.standing(&r))
	if t.bar != nil {
		_ = t.bar.Set64(min(r.Progress.Published, t.total)) // drawing fails where nobody looks
	}
}

// audit tells how far the audit of the database is, which may take minutes.
func (t *replayTalk) audit(now stock.Summary) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turn() {
		t.say(fmt.Sprintf("%s: %s, %s, %d goods so far", replay.PhaseAudit,
			cli.Counted64(now.Orders, "order"), cli.Counted64(now.Movements, "movement"), now.Goods))
	}
}

// turn is true when it is time to say something again.
func (t *replayTalk) turn() bool {
	every := cli.LineEvery
	if t.bar != nil {
		every = cli.BarEvery
	}
	if time.Since(t.said) < every {
		return false
	}
	t.said = time.Now()
	return true
}

// say says it in a line, or beside the bar.
func (t *replayTalk) say(text string) {
	if t.bar == nil {
		t.session.Say("%s: replay %s: %s", t.session.Name, t.id, text)
		return
	}
	t.bar.Describe(text)
}

// end takes the bar away.
func (t *replayTalk) end() {
	if t.bar != nil {
		_ = t.bar.Clear()
	}
}

// standing is how things stand, in a few words.
func (t *replayTalk) standing(r *replay.Report) string {
	p := &r.Progress
	text := fmt.Sprintf("published %d of %d", p.Published, t.total)
	if took := time.Since(t.began).Seconds(); !t.began.IsZero() && r.Phase == replay.PhasePublishing && took > 0 && p.Published > t.first {
		perSecond := float64(p.Published-t.first) / took
		left := time.Duration(float64(max(0, t.total-p.Published)) / perSecond * float64(time.Second))
		text += fmt.Sprintf(", %.0f/s, about %s left", perSecond, left.Round(time.Second))
	}
	if failed := p.FailedAgain(); failed > 0 {
		text += fmt.Sprintf(", %d failed again", failed)
	}
	text += fmt.Sprintf("; stage %d: %s", p.Stage+1, r.Phase)
	if r.Left > 0 {
		text += fmt.Sprintf(", %d left", r.Left)
	}
	if r.Err != nil {
		text += fmt.Sprintf(": %v", r.Err)
	}
	return text
}
