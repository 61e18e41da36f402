package publish

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"orderconsumer/internal/cli"
)

// progressTotal is how much there is to do, in bytes read or in events
// published. Zero stands for not known.
type progressTotal struct {
	bytes  int64
	events int64
}

// showProgress tells a person how far it is until done is called: by a bar on
// a terminal, by a line now and then elsewhere. Nothing is coloured.
func (t *tally) showProgress(total progressTotal) (done func()) {
	every := cli.LineEvery
	show := func() { t.session.Say("%s", t.standing()) }
	end := func() {}
	if t.session.Stderr.Terminal {
		bar := t.bar(total)
		every = cli.BarEvery
		show = func() {
			bar.Describe(t.standing())
			_ = bar.Set64(t.reached(total)) // drawing fails where nobody looks
		}
		end = func() { _ = bar.Clear() }
	}
	stop := make(chan struct{})
	var shower sync.WaitGroup
	shower.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				show()
			case <-stop:
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(stop)
		shower.Wait()
		end()
	})
}

// bar is drawn from the beginning of the line and leaves nothing behind.
func (t *tally) bar(total progressTotal) *progressbar.ProgressBar {
	most := max(total.bytes, total.events)
	if most == 0 {
		most = -1 // a spinner
	}
	return progressbar.NewOptions64(most,
		progressbar.OptionSetWriter(t.session.Stderr.Bar()),
		progressbar.OptionSetWidth(cli.BarWidth),
		progressbar.OptionSetPredictTime(most > 0),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionUseANSICodes(true),
	)
}

// reached is how much of the total is behind us.
func (t *tally) reached(total progressTotal) int64 {
	if total.events > 0 {
		return min(t.published.Load()+t.failed(), total.events)
	}
	if total.bytes > 0 {
		return min(t.bytes.Load(), total.bytes)
	}
	return t.bytes.Load()
}

// standing is how things stand, in a few words.
func (t *tally) standing() string {
	published := t.published.Load()
	text := fmt.Sprintf("published %d", published)
	if failed := t.failed(); failed > 0 {
		text += fmt.Sprintf(", failed %d", failed)
	}
	if seconds := time.Since(t.began).Seconds(); seconds > 0 {
		text += fmt.Sprintf(", %.0f/s", float64(published)/seconds)
	}
	return text
}
