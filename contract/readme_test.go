package contract_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"orderconsumer/contract"
	"orderconsumer/internal/order"
)

// fateRow is one row of the README's tables of fates.
type fateRow struct {
	name    string
	message order.Message
	want    string // accepted, or a code
	reads   string // for accepted: a text the event must have been read as
	path    string // for a code: the JSON pointer beside it
}

func readContract(t testing.TB, name string) string {
	t.Helper()
	text, err := contract.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tableRows returns the rows of every table whose first heading is heading.
func tableRows(t testing.TB, text, heading string) [][]string {
	t.Helper()
	var rows [][]string
	inside := false
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case !strings.HasPrefix(line, "|"):
			inside = false
		case cells[0] == heading:
			inside = true
		case inside && !strings.HasPrefix(cells[0], "---"):
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("no table with the heading %q", heading)
	}
	return rows
}

// code returns what stands between back quotes, or "".
func code(cell string) string {
	_, cell, _ = strings.Cut(cell, "`")
	cell, _, _ = strings.Cut(cell, "`")
	return cell
}

func fateRows(t testing.TB) []fateRow {
	t.Helper()
	var rows []fateRow
	for _, cells := range tableRows(t, readContract(t, "README.md"), "Case") {
		if len(cells) != 4 {
			t.Fatalf("row %q has %d cells, want 4", cells[0], len(cells))
		}
		rows = append(rows, parseRow(t, cells))
	}
	return rows
}

func parseRow(t testing.TB, cells []string) fateRow {
	t.Helper()
	row := fateRow{name: cells[0]}
	built, isBuilt := builtMessages()[row.name]
	switch described := strings.Contains(cells[1]+cells[2], "*"); {
	case described && !isBuilt:
		t.Fatalf("case %q is described in words and there is no message for it", row.name)
	case isBuilt && !described:
		t.Fatalf("case %q has a message and its row spells out another", row.name)
	}
	row.message = built
	if !isBuilt {
		row.message.Value = []byte(strings.Trim(cells[1], "`"))
	}
	if key, value, ok := strings.Cut(code(cells[2]), ": "); ok {
		row.message.Headers = []order.Header{{Key: key, Value: []byte(value)}}
	}
	if strings.HasPrefix(cells[3], "accepted") {
		row.want, row.reads = "accepted", code(cells[3])
		return row
	}
	refused, at, _ := strings.Cut(cells[3], " at ")
	row.want, row.path = code(refused), code(at)
	return row
}

const oneItem = `{"goods_id":"421","num":2}`

// builtMessages are the cases that are too long or too broken for a table.
func builtMessages() map[string]order.Message {
	value := func(text string) order.Message { return order.Message{Value: []byte(text)} }
	with := func(member string) string {
		return `{"type":"order.created","order_id":"A-1","items":[` + oneItem + `],` + member + `}`
	}
	withOrder := func(id string) string {
		return `{"type":"order.created","order_id":` + id + `,"items":[` + oneItem + `]}`
	}
	sized := func(size int) string {
		return with(`"pad":"` + strings.Repeat("x", size-len(with(`"pad":""`))) + `"`)
	}
	// The event itself is the first level.
	nested := func(levels int) string {
		return with(`"note":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1))
	}
	items := func(n int) string {
		var many []string
		for i := range n {
			many = append(many, fmt.Sprintf(`{"goods_id":%d,"num":1}`, i))
		}
		return `{"type":"order.created","order_id":"A-1","items":[` + strings.Join(many, ",") + `]}`
	}
	headed := func(id string) order.Message {
		m := value(withOrder(`"A-1"`))
		m.Headers = []order.Header{{Key: order.HeaderID, Value: []byte(id)}}
		return m
	}
	return map[string]order.Message{
		"empty body":                                  value(""),
		"body of exactly 1 MB":                        value(sized(order.MaxValueBytes)),
		"body over 1 MB":                              value(sized(order.MaxValueBytes + 1)),
		"byte order mark":                             value("\xef\xbb\xbf" + withOrder(`"A-1"`)),
		"nested 64 deep in an unknown member":         value(nested(order.MaxDepth)),
		"nested deeper than 64":                       value(nested(order.MaxDepth + 1)),
		"broken UTF-8":                                value(withOrder("\"A\xff\"")),
		"event id over 128 bytes":                     value(with(`"event_id":"` + strings.Repeat("e", 129) + `"`)),
		"event id in the header over 128 bytes":       headed(strings.Repeat("e", 129)),
		"event id in the header with a line break":    headed("e\n1"),
		"order id of 64 bytes":                        value(withOrder(`"` + strings.Repeat("A", 64) + `"`)),
		"order id over 64 bytes":                      value(withOrder(`"` + strings.Repeat("A", 65) + `"`)),
		"order id of 22 Chinese characters, 66 bytes": value(withOrder(`"` + strings.Repeat("\u5355", 22) + `"`)),
		"order id is an integer of 65 digits":         value(withOrder(strings.Repeat("7", 65))),
		"500 items":                                   value(items(order.MaxItems)),
		"501 items":                                   value(items(order.MaxItems + 1)),
	}
}

func TestEveryEventMeetsTheFateTheReadmeStates(t *testing.T) {
	t.Parallel()
	used := builtMessages()
	for _, row := range fateRows(t) {
		delete(used, row.name)
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			e, err := order.Decode(&row.message)
			if row.want == "accepted" {
				if err != nil {
					t.Fatalf("got %v, want it accepted", err)
				}
				if row.reads != "" && !readAs(e, row.reads) {
					t.Errorf("got %+v, want %s in it", e, row.reads)
				}
				return
			}
			malformed, ok := errors.AsType[*order.Malformed](err)
			if !ok {
				t.Fatalf("got event %+v and error %v, want code %s", e, err, row.want)
			}
			if malformed.Code != row.want || malformed.Path != row.path {
				t.Errorf("got %v, want %s at %q", malformed, row.want, row.path)
			}
		})
	}
	for name := range used {
		t.Errorf("the README has no row for the case %q", name)
	}
}

// readAs is true when text is an id, a num or "num of goods" of the event.
func readAs(e order.Event, text string) bool {
	for _, line := range e.Lines {
		if text == line.Goods || text == fmt.Sprint(line.Num) || text == fmt.Sprintf("%d of %s", line.Num, line.Goods) {
			return true
		}
	}
	return text == e.ID || text == e.OrderID
}

func TestTheReadmeNamesEveryCode(t *testing.T) {
	t.Parallel()
	var stated, inRows []string
	for _, cells := range tableRows(t, readContract(t, "README.md"), "Code") {
		stated = append(stated, code(cells[0]))
	}
	for _, row := range fateRows(t) {
		inRows = append(inRows, row.want)
	}
	for _, want := range []string{
		order.CodeEmptyBody, order.CodeTooLarge, order.CodeInvalidUTF8,
		order.CodeDuplicateMember, order.CodeMalformedJSON, order.CodeSchemaInvalid,
	} {
		if !slices.Contains(stated, want) || !slices.Contains(inRows, want) {
			t.Errorf("code %s: explained %v, shown by a case %v", want, slices.Contains(stated, want), slices.Contains(inRows, want))
		}
	}
}

// The README shows an event first and an outcome second.
func TestTheExamplesOfTheReadmeAreValid(t *testing.T) {
	t.Parallel()
	var blocks []string
	for rest := readContract(t, "README.md"); ; {
		_, after, found := strings.Cut(rest, "```json\n")
		if !found {
			break
		}
		block, more, _ := strings.Cut(after, "```")
		blocks, rest = append(blocks, block), more
	}
	schemas := []string{"order.schema.json", "outcome.schema.json"}
	if len(blocks) != len(schemas) {
		t.Fatalf("found %d examples, want %d", len(blocks), len(schemas))
	}
	for i, name := range schemas {
		if err := passes(compile(t, name), []byte(blocks[i])); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
