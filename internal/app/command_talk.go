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
}

func newTalker(to io.Writer) *talker {
	file, ok := to.(*os.File)
	return &talker{to: to, terminal: ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"}
}

// Write implements io.Writer.
func (t *talker) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.to.Write(p)
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
