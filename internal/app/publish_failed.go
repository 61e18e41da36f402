package app

import (
	"fmt"
	"os"
	"slices"
	"sync"
)

// failedFile takes what was not delivered, byte for byte, so that it can be
// corrected and published again. It is created with the first line, and
// appended to when it exists: what an earlier run left in it may be the only
// copy.
type failedFile struct {
	path   string
	header []byte // the line that an empty file begins with; may be nil

	mu   sync.Mutex
	file *os.File
	err  error // why not everything is in it
}

// write adds whole lines; the last one may lack its end.
func (f *failedFile) write(raw []byte) {
	if len(raw) > 0 && raw[len(raw)-1] != '\n' {
		raw = append(slices.Clip(raw), '\n')
	}
	f.writePiece(raw)
}

// writePiece adds a part of a line.
func (f *failedFile) writePiece(raw []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil || len(raw) == 0 {
		return
	}
	if f.file == nil {
		f.err = f.open()
	}
	if f.err == nil {
		_, f.err = f.file.Write(raw)
	}
	if f.err != nil {
		f.err = fmt.Errorf("keep what was not delivered: %w", f.err)
	}
}

func (f *failedFile) open() error {
	const mode = 0o600 // orders are nobody else's business
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, mode)
	if err != nil {
		return err
	}
	f.file = file
	info, err := file.Stat()
	if err == nil && info.Size() == 0 && len(f.header) > 0 {
		_, err = file.Write(f.header)
	}
	return err
}

// close ends the file.
func (f *failedFile) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return
	}
	err := f.file.Close()
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("keep what was not delivered: %w", err)
	}
}

// name is the path if anything was written to it.
func (f *failedFile) name() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return ""
	}
	return f.path
}
