package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJSONLinesAreForMachines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := NewLogger(&out, LogConfig{Format: LogJSON})
	log.Warn("order failed", "order_id", "A-1", "partition", 3, "offset", int64(1)<<60,
		"code", "goods_unknown", "took", 1500*time.Microsecond, "error", errors.New("no such goods"))
	var got map[string]any
	dec := json.NewDecoder(&out)
	dec.UseNumber()
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	stamp, err := time.Parse(time.RFC3339Nano, got["time"].(string))
	if err != nil || !strings.HasSuffix(got["time"].(string), "Z") || time.Since(stamp) > time.Minute {
		t.Errorf("time is %v, want now in UTC", got["time"])
	}
	delete(got, "time")
	want := map[string]any{
		"level": "WARN", "msg": "order failed", "order_id": "A-1", "partition": json.Number("3"),
		"offset": json.Number("1152921504606846976"), "code": "goods_unknown",
		"took": "1.5ms", "error": "no such goods",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestTheFormatFitsTheWriter(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for _, tt := range []struct {
		name string
		cfg  LogConfig
		json bool
	}{
		{"the zero configuration is json away from a terminal", LogConfig{}, true},
		{"json is json", LogConfig{Format: LogJSON}, true},
		{"text has no colours away from a terminal", LogConfig{Format: LogText}, false},
	} {
		var out bytes.Buffer
		log := NewLogger(&out, tt.cfg)
		log.Debug("quiet")
		log.Info("hello")
		if got := out.String(); json.Valid(out.Bytes()) != tt.json || strings.Contains(got, "\x1b") ||
			!strings.Contains(got, "hello") || strings.Contains(got, "quiet") {
			t.Errorf("%s: wrote %q", tt.name, got)
		}
	}
	if isTerminal(file) {
		t.Error("a file is taken for a terminal")
	}
}

func TestTheLevelCanChangeAtRunTime(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log := NewLogger(&out, LogConfig{Level: level})
	log.Debug("first")
	level.Set(slog.LevelDebug)
	log.Debug("second")
	if got := out.String(); strings.Contains(got, "first") || !strings.Contains(got, "second") {
		t.Errorf("wrote %q", got)
	}
}

func TestFormatsAreReadAndWrittenByName(t *testing.T) {
	t.Parallel()
	for _, want := range []LogFormat{LogAuto, LogJSON, LogText} {
		text, err := want.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got LogFormat
		if err := got.UnmarshalText(text); err != nil || got != want {
			t.Errorf("%s was read as %s, %v", text, got, err)
		}
	}
	var f LogFormat
	if err := f.UnmarshalText([]byte("xml")); err == nil {
		t.Error("xml was taken for a format")
	}
}
