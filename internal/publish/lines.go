package publish

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"sync/atomic"
)

const (
	// maxLineBytes is the longest line that is looked at: four times the largest
	// event, so that what is too large can be published with --no-validate to a
	// topic that takes it. A longer line fails unread, in pieces.
	maxLineBytes = 4 << 20
	// readBytes is how much is read at a time.
	readBytes = 64 << 10
)

// line is one line of the input.
type line struct {
	number int    // counted from one
	text   []byte // with its end, if it has one; it is nobody else's memory
	// piece says that text is a part of a line of more than maxLineBytes; the
	// other parts follow with the same number.
	piece bool
}

// lineReader reads lines ahead.
type lineReader struct {
	ctx    context.Context //nolint:containedctx // it is the reader's life
	blocks chan []line
	failed error // set before blocks is closed
}

// readLines begins to read. The goroutine that reads ends with the input or,
// when ctx ends, with the next byte: a read of a terminal or a pipe cannot be
// taken back, so nobody waits for it. count is told how many bytes were read.
func readLines(ctx context.Context, r io.Reader, count *atomic.Int64) *lineReader {
	l := &lineReader{ctx: ctx, blocks: make(chan []line, 1)}
	go func() {
		defer close(l.blocks)
		err := l.read(bufio.NewReaderSize(r, readBytes), count)
		if !errors.Is(err, io.EOF) {
			l.failed = err
		}
	}()
	return l
}

// all yields the lines until there are no more or the context has ended.
func (l *lineReader) all() iter.Seq[line] {
	return func(yield func(line) bool) {
		for {
			select {
			case <-l.ctx.Done():
				return
			case block, more := <-l.blocks:
				if !more {
					return
				}
				for _, one := range block {
					if l.ctx.Err() != nil || !yield(one) {
						return
					}
				}
			}
		}
	}
}

// err is why reading ended before the input did. It is known when all has
// yielded everything.
func (l *lineReader) err() error {
	select {
	case <-l.ctx.Done(): // it was told to; and the goroutine may go on reading
		return nil
	default:
		return l.failed
	}
}

// read hands lines on in blocks: what one read has brought, so that a line that
// is typed is not kept waiting for another.
func (l *lineReader) read(r *bufio.Reader, count *atomic.Int64) error {
	number, long := 1, false
	for {
		var block []line
		for full := 0; full < readBytes && (full == 0 || r.Buffered() > 0); {
			text, err := readLine(r)
			if len(text) > 0 {
				ended := text[len(text)-1] == '\n' || err != nil
				block = append(block, line{number: number, text: text, piece: long || !ended})
				long = !ended
				if ended {
					number++
				}
			}
			full += len(text)
			count.Add(int64(len(text)))
			if err != nil {
				return errors.Join(l.send(block), err)
			}
		}
		err := l.send(block)
		if err != nil {
			return err
		}
	}
}

func (l *lineReader) send(block []line) error {
	select {
	case l.blocks <- block:
		return nil
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
}

// readLine reads up to the end of the line, or as much of it as is allowed.
func readLine(r *bufio.Reader) ([]byte, error) {
	var text []byte
	for {
		part, err := r.ReadSlice('\n')
		text = append(text, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, err
		}
		if len(text) >= maxLineBytes {
			return text, nil
		}
	}
}

// withoutEnd is the text of a line.
func withoutEnd(text []byte) []byte {
	text = bytes.TrimSuffix(text, []byte("\n"))
	return bytes.TrimSuffix(text, []byte("\r"))
}
