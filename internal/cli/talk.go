package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// Talker is where a program talks to a person: standard error. Lines from
// several goroutines do not run into one another.
type Talker struct {
	// Terminal is true when a person may be looking: a bar that is drawn over
	// itself makes sense.
	Terminal bool
	mu       sync.Mutex
	to       io.Writer
	drawn    bool // the cursor stands at the end of a bar
}

// NewTalker talks to to.
func NewTalker(to io.Writer) *Talker {
	file, ok := to.(*os.File)
	return &Talker{to: to, Terminal: ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"}
}

// clearLine takes a bar away, so that a line can be written in its place. The
// bar is drawn again below the line.
const clearLine = "\033[2K\r"

// Fd is the file that is written to, for whoever wants to know whether it is a
// terminal; no file is no terminal.
func (t *Talker) Fd() uintptr {
	if file, ok := t.to.(*os.File); ok {
		return file.Fd()
	}
	return ^uintptr(0)
}

// Write writes whole lines.
func (t *Talker) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.drawn {
		t.drawn = false
		_, err := io.WriteString(t.to, clearLine)
		if err != nil {
			return 0, err
		}
	}
	return t.to.Write(p)
}

// Bar is where a bar is drawn, in a line that is not ended. What is written to t takes it away.
func (t *Talker) Bar() io.Writer { return barWriter{t} }

// barWriter is where a bar is drawn, in a line that is not ended.
type barWriter struct{ talker *Talker }

// Write draws.
func (b barWriter) Write(p []byte) (int, error) {
	b.talker.mu.Lock()
	defer b.talker.mu.Unlock()
	b.talker.drawn = true
	return b.talker.to.Write(p)
}

// How progress is shown.
const (
	// BarEvery is how often a terminal's bar is drawn.
	BarEvery = 100 * time.Millisecond
	// LineEvery is how often a line is written where there is no terminal.
	LineEvery = 2 * time.Second
	// BarWidth leaves room for the numbers on a terminal of 80 columns.
	BarWidth = 20
)

// OutputSettings say how a command gives its answer.
type OutputSettings struct {
	Output string `name:"output" short:"o" env:"OUTPUT" default:"text" enum:"text,json,jsonl" help:"How the answer is written: text for people, json as one document, jsonl as one object a line."`
}

// Machine is true when a program is going to read the answer.
func (o OutputSettings) Machine() bool { return o.Output != "text" }

// Object writes one answer as one line of JSON, which is right for json and
// for jsonl.
func (o OutputSettings) Object(w io.Writer, answer any) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
