package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// LogFormat is how log lines are written.
type LogFormat uint8

const (
	// LogAuto is LogText on a terminal and LogJSON elsewhere.
	LogAuto LogFormat = iota
	// LogJSON is one JSON object a line, for machines.
	LogJSON
	// LogText is for people; coloured on a terminal unless NO_COLOR is set.
	LogText
)

var logFormats = [...]string{LogAuto: "auto", LogJSON: "json", LogText: "text"}

// String returns auto, json or text.
func (f LogFormat) String() string {
	if int(f) < len(logFormats) {
		return logFormats[f]
	}
	return fmt.Sprintf("LogFormat(%d)", f)
}

// MarshalText implements encoding.TextMarshaler.
func (f LogFormat) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler, by which flags and
// environment variables are read.
func (f *LogFormat) UnmarshalText(text []byte) error {
	for i, name := range logFormats {
		if name == string(text) {
			*f = LogFormat(i)
			return nil
		}
	}
	return fmt.Errorf("log format %q is none of auto, json, text", text)
}

// LogConfig says how to log. Its zero value logs from info up, in the format
// that fits the writer.
type LogConfig struct {
	// Format is auto, json or text.
	Format LogFormat
	// Level is the least severe level that is written. A *slog.LevelVar changes
	// it at run time. Default info.
	Level slog.Leveler
}

// textTime keeps a terminal's lines short; the date is on the wall.
const textTime = "15:04:05.000"

// NewLogger returns a logger that writes to w, one line a record. Times in
// JSON are UTC, times for people are local.
func NewLogger(w io.Writer, cfg LogConfig) *slog.Logger {
	level := cfg.Level
	if level == nil {
		level = slog.LevelInfo
	}
	tty := isTerminal(w)
	if cfg.Format == LogJSON || cfg.Format == LogAuto && !tty {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: machineReadable}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level:      level,
		TimeFormat: textTime,
		NoColor:    !tty || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb",
	}))
}

// machineReadable makes the record's own time comparable between machines, and gives
// durations their unit: JSON would have them as a number of nanoseconds.
func machineReadable(groups []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindTime:
		if len(groups) == 0 && a.Key == slog.TimeKey {
			a.Value = slog.TimeValue(a.Value.Time().UTC().Truncate(time.Microsecond))
		}
	case slog.KindDuration:
		a.Value = slog.StringValue(a.Value.Duration().String())
	default:
	}
	return a
}

// isTerminal reports whether a person reads what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}
