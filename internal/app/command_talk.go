package app

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// talker is where a program talks to a person: standard error. Lines from
// several goroutines do not run into one another.
type talker struct {
	// terminal is true when a person may be looking: a bar that is drawn over
	// itself makes sense.
	terminal bool
	mu       sync.Mutex
	to       io.Writer
	drawn    bool // the cursor stands at the end of a bar
}

func newTalker(to io.Writer) *talker {
	file, ok := to.(*os.File)
	return &talker{to: to, terminal: ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"}
}

// clearLine takes a bar away, so that a line can be written in its place. The
// bar is drawn again below the line.
const clearLine = "\033[2K\r"

// Fd is the file that is written to, for whoever wants to know whether it is a
// terminal; no file is no terminal.
func (t *talker) Fd() uintptr {
	if file, ok := t.to.(*os.File); ok {
		return file.Fd()
	}
	return ^uintptr(0)
}

// Write writes whole lines.
func (t *talker) Write(p []byte) (int, error) {
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

// barWriter is where a bar is drawn, in a line that is not ended.
type barWriter struct{ talker *talker }

// Write draws.
func (b barWriter) Write(p []byte) (int, error) {
	b.talker.mu.Lock()
	defer b.talker.mu.Unlock()
	b.talker.drawn = true
	return b.talker.to.Write(p)
}

// OutputSettings say how a command gives its answer.
type OutputSettings struct {
	Output string `name:"output" short:"o" env:"OUTPUT" default:"text" enum:"text,json,jsonl" help:"How the answer is written: text for people, json as one document, jsonl as one object a line."`
}

// machine is true when a program is going to read the answer.
func (o OutputSettings) machine() bool { return o.Output != "text" }

// object writes one answer as one line of JSON, which is right for json and
// for jsonl.
func (o OutputSettings) object(w io.Writer, answer any) error {
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
