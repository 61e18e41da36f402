package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"orderconsumer/internal/cli"
)

// failedMode is the mode of the file: orders are nobody else's business.
const failedMode = 0o600

// failedFile takes what was not delivered, byte for byte, so that it can be
// corrected and published again. It is created with the first line, and
// appended to when it exists: what an earlier run left in it may be the only
// copy.
type failedFile struct {
	path   string
	header []byte // the line that an empty file begins with; may be nil

	mu    sync.Mutex
	file  *os.File
	added bool  // it held something before
	err   error // why not everything is in it
}

// check refuses a path that nothing can be written to, while nothing has been
// published yet: later on it would be too late to keep what was not delivered.
// It leaves no file behind. What is no regular file is let pass: opening a pipe
// would wait for its reader.
func (f *failedFile) check() error {
	info, err := os.Stat(f.path)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil
	}
	created := errors.Is(err, fs.ErrNotExist)
	flags := os.O_WRONLY | os.O_APPEND
	if created {
		flags |= os.O_CREATE | os.O_EXCL // what is removed below is nobody else's
	}
	file, err := os.OpenFile(f.path, flags, failedMode)
	if err == nil {
		err = file.Close()
		if created {
			err = errors.Join(err, os.Remove(f.path))
		}
	}
	if err == nil || created && errors.Is(err, fs.ErrExist) {
		return nil
	}
	return &cli.Failure{
		Code: cli.ExitUsage,
		Err:  fmt.Errorf("no place for what is not delivered, nothing was published: %w", err),
		Try:  "the same command with --failed-file " + filepath.Join(os.TempDir(), "producer.failed"),
	}
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
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, failedMode)
	if err != nil {
		return err
	}
	f.file = file
	info, err := file.Stat()
	f.added = err == nil && info.Size() > 0
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

// whereabouts says where what was not delivered is, as the end of a sentence.
func (f *failedFile) whereabouts() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.file == nil:
		return "they were not kept"
	case f.err != nil:
		return "not all of them are in " + f.path
	case f.added:
		return "they were added to " + f.path
	default:
		return "they are in " + f.path
	}
}
