package drill

import (
	"bytes"
	"strings"
	"sync"
)

// tail keeps the end of what an instance says, for the day it ends unasked.
type tail struct {
	mu  sync.Mutex
	end []byte
}

// tailBytes are a dozen lines.
const tailBytes = 4 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	if over := len(t.end) - tailBytes; over > 0 {
		t.end = append(t.end[:0], t.end[over:]...)
	}
	return len(p), nil
}

// String is the end.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(bytes.ToValidUTF8(t.end, nil)))
}
