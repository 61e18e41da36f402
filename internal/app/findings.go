package app

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/report"
)

// maxFindingBytes is far above the longest finding: an order of 500 goods.
const maxFindingBytes = 1 << 20

// errNotAFinding: a line that audit did not write.
var errNotAFinding = errors.New("want what audit -o jsonl writes")

// openFindings opens what --findings names; - is the standard input.
func openFindings(s *cli.Session, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(s.Stdin), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, cli.Usage("--findings: %w", err)
	}
	return file, nil
}

// readFindings calls visit for every finding of an audit, one a line. The last
// line of an audit is its summary.
func readFindings(in io.Reader, visit func(*report.Finding) error) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxFindingBytes)
	n := 1
	for ; scanner.Scan(); n++ {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		var line struct {
			report.Finding
			Summary *json.RawMessage `json:"summary"`
		}
		err := json.Unmarshal(scanner.Bytes(), &line)
		if err == nil && line.Rule == "" && line.Summary == nil {
			err = errNotAFinding
		}
		if err == nil && line.Summary == nil {
			err = visit(&line.Finding)
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
