package settings

import (
	"io"
	"log/slog"

	"orderconsumer/internal/telemetry"
)

// Log says how much is said, and how.
type Log struct {
	Format string `name:"log-format" env:"LOG_FORMAT" default:"auto" enum:"auto,json,text" help:"auto: coloured text on a terminal, JSON otherwise."`
	Level  string `name:"log-level" env:"LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"The least important level that is written."`

	Payload Payload `embed:""`
}

// Payload says whether what is written to standard error repeats what
// events say. Its zero value says no.
type Payload struct {
	Payloads string `name:"log-payloads" env:"LOG_PAYLOADS" default:"masked" enum:"masked,shown" help:"What the log says of events. masked: ids of orders and goods, and what is wrong where. shown: the values that are wrong, too."`
}

// payloadsShown is the setting of logs that repeat what events say.
const payloadsShown = "shown"

// Shown reports whether what events say is repeated.
func (s Payload) Shown() bool { return s.Payloads == payloadsShown }

// Logger writes to w, which is standard error: standard output is for data.
func (s Log) Logger(w io.Writer) *slog.Logger {
	cfg := telemetry.LogConfig{}
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Level))       // the enum has been checked
	_ = cfg.Format.UnmarshalText([]byte(s.Format)) // likewise
	cfg.Level = level
	return telemetry.NewLogger(w, cfg)
}
