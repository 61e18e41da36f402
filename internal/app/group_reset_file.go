package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"orderconsumer/internal/kafka"
)

// maxOffsetsFile is far above the largest group.
const maxOffsetsFile = 16 << 20

// errNoOffsets ends what is said of a file that holds no offsets.
var errNoOffsets = errors.New("want what group describe -o json writes")

// offsetsRow is a partition in a file of offsets. What matters of it is what was
// committed.
type offsetsRow struct {
	Topic     string           `json:"topic"`
	Partition *int             `json:"partition"`
	Committed *json.RawMessage `json:"committed"`
}

// readOffsets reads what group describe and group reset write, as json or as
// jsonl. Every error says on which line. A partition that stands there twice must
// be the same both times: a file that was put together from two says nothing.
func readOffsets(from io.Reader) (resetTarget, error) {
	t := resetTarget{rows: make(map[place]int64)}
	text, err := io.ReadAll(io.LimitReader(from, maxOffsetsFile+1))
	if err != nil {
		return t, err
	}
	if len(text) > maxOffsetsFile {
		return t, fmt.Errorf("more than %d bytes: %w", maxOffsetsFile, errNoOffsets)
	}
	values := json.NewDecoder(bytes.NewReader(text))
	for {
		line := lineAt(text, values.InputOffset())
		var whole struct {
			Group      string       `json:"group"`
			Partitions []offsetsRow `json:"partitions"`
			offsetsRow
		}
		err := values.Decode(&whole)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return t, fmt.Errorf("line %d: %w: %w", line, errNoOffsets, err)
		}
		rows := whole.Partitions
		if whole.Topic != "" || whole.Partition != nil {
			rows = append(rows, whole.offsetsRow)
		}
		err = t.take(whole.Group, rows)
		if err != nil {
			return t, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if len(t.rows) == 0 {
		return t, fmt.Errorf("no partition is in it: %w", errNoOffsets)
	}
	return t, nil
}

// lineAt is the line of the first thing that stands at offset or behind it.
func lineAt(text []byte, offset int64) int {
	rest := bytes.TrimLeft(text[offset:], " \t\r\n")
	return 1 + bytes.Count(text[:len(text)-len(rest)], []byte("\n"))
}

// take adds one value of the file.
func (t *resetTarget) take(group string, rows []offsetsRow) error {
	if group != "" && t.group != "" && group != t.group {
		return fmt.Errorf("it is of group %s, and what stands before it is of %s", group, t.group)
	}
	if group != "" {
		t.group = group
	}
	for _, r := range rows {
		if r.Topic == "" || r.Partition == nil || *r.Partition < 0 {
			return fmt.Errorf("a partition lacks topic or partition: %w", errNoOffsets)
		}
		offset := int64(kafka.NoCommit)
		if r.Committed != nil && !bytes.Equal(*r.Committed, []byte("null")) {
			err := json.Unmarshal(*r.Committed, &offset)
			if err != nil || offset < 0 {
				return fmt.Errorf("committed of %s/%d is %s, want an offset or null", r.Topic, *r.Partition, *r.Committed)
			}
		}
		at := place{r.Topic, *r.Partition}
		if before, twice := t.rows[at]; twice && before != offset {
			return fmt.Errorf("%s/%d stands there twice, with different offsets", r.Topic, *r.Partition)
		}
		t.rows[at] = offset
	}
	return nil
}
