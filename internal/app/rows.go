package app

import (
	"encoding/json"
	"fmt"
	"io"

	"orderconsumer/internal/cli"
)

// writeAll writes rows as a table under head, as one document with them as its
// member, or as a line each.
func writeAll[T fmt.Stringer](o cli.OutputSettings, to io.Writer, member, head string, rows []T) error {
	w := rowWriter[T]{OutputSettings: o, to: to, member: member, head: head}
	for _, row := range rows {
		if err := w.row(row); err != nil {
			return err
		}
	}
	return w.end()
}

// rowWriter is writeAll for rows that come one after the other: there may be as many as
// the database has.
type rowWriter[T fmt.Stringer] struct {
	cli.OutputSettings
	to           io.Writer
	member, head string
	n            int
}

// row writes one row.
func (w *rowWriter[T]) row(row T) error {
	w.n++
	if w.Output == "jsonl" {
		return w.Object(w.to, row)
	}
	text := row.String()
	switch {
	case w.Machine():
		encoded, err := json.Marshal(row)
		if err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
		text = "," + string(encoded)
		if w.n == 1 {
			text = w.opening() + string(encoded)
		}
	case w.n == 1:
		text = w.head + text
	}
	return w.text(text)
}

// end ends the document. No row may follow.
func (w *rowWriter[T]) end() error { return w.close("") }

// endWith ends the document with one more member in it.
func (w *rowWriter[T]) endWith(member string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return w.close(fmt.Sprintf(",%q:%s", member, text))
}

// close ends the document with what else is in it.
func (w *rowWriter[T]) close(more string) error {
	if w.Output != "json" {
		return nil
	}
	text := "]" + more + "}\n"
	if w.n == 0 {
		text = w.opening() + text
	}
	return w.text(text)
}

func (w *rowWriter[T]) opening() string { return fmt.Sprintf("{%q:[", w.member) }

func (w *rowWriter[T]) text(text string) error {
	if _, err := io.WriteString(w.to, text); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
