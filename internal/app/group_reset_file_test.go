package app

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/testkit"
)

func TestReadOffsets(t *testing.T) {
	t.Parallel()
	got, err := readOffsets(strings.NewReader("\n" + `{"group":"g","partitions":[{"topic":"t","partition":0,"committed":7}]}` + "\n" +
		`{"topic":"t","partition":1,"committed":null}` + "\n" + `{"topic":"t","partition":0,"committed":7}`))
	want := map[place]int64{{"t", 0}: 7, {"t", 1}: kafka.NoCommit}
	if diff := cmp.Diff(want, got.rows, cmp.AllowUnexported(place{})); err != nil || diff != "" || got.group != "g" {
		t.Errorf("group %q, %v\n%s", got.group, err, diff)
	}
	for text, want := range map[string]string{
		"":                             "no partition is in it: want what group describe -o json writes",
		"{}\n\n{\n":                    "line 3: want what group describe",
		"{}\n" + `{"topic":"t"}`:       "line 2: a partition lacks topic or partition",
		`{"topic":"t","partition":-1}`: "line 1: a partition lacks topic or partition",
		"{\n\"topic\":\"t\",\"partition\":\"0\"}":                                                          ".partition of type int", // the field that is wrong
		`{"topic":"t","partition":0,"committed":1.5}`:                                                      "line 1: committed of t/0 is 1.5, want an offset or null",
		`{"topic":"t","partition":0,"committed":1}` + "\n\n" + `{"topic":"t","partition":0,"committed":2}`: "line 3: t/0 stands there twice, with different offsets",
		`{"group":"a","topic":"t","partition":0}` + "\n" + `{"group":"b","topic":"t","partition":1}`:       "line 2: it is of group b, and what stands before it is of a",
	} {
		if _, err := readOffsets(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	counted := &countingReader{from: io.LimitReader(testkit.Zeros{}, 1<<30)}
	if _, err := readOffsets(counted); err == nil || !strings.Contains(err.Error(), "more than 16777216 bytes") || counted.n > 2*maxOffsetsFile {
		t.Errorf("a file without end: got %v after %d bytes", err, counted.n)
	}
}
