package app

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxFindingBytes is far above the longest finding: an order of 500 goods.
const maxFindingBytes = 1 << 20

// errNotAFinding: a line that audit did not write.
var errNotAFinding = errors.New("want what audit -o jsonl writes")

// openFindings opens what --findings names; - is the standard input.
func openFindings(s *session, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(s.stdin), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, usage("--findings: %w", err)
	}
	return file, nil
}

// readFindings calls visit for every finding of an audit, one a line. The last
// line of an audit is its summary.
func readFindings(in io.Reader, visit func(*shownFinding) error) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxFindingBytes)
	n := 1
	for ; scanner.Scan(); n++ {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		var line struct {
			shownFinding
			Summary *json.RawMessage `json:"summary"`
		}
		err := json.Unmarshal(scanner.Bytes(), &line)
		if err == nil && line.Rule == "" && line.Summary == nil {
			err = errNotAFinding
		}
		if err == nil && line.Summary == nil {
			err = visit(&line.shownFinding)
		}
		if err != nil {
			return fmt.Errorf("line %d of the findings: %w", n, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("line %d of the findings: %w", n, err)
	}
	return nil
}
