// Package app puts the parts together: it reads the settings, opens the
// servers, and carries out the commands of the programs. Only main functions
// import it.
package app

import (
	"io"
	"log/slog"

	"orderconsumer/internal/telemetry"
)

// LogSettings say how much is said, and how.
type LogSettings struct {
	Format string `name:"log-format" env:"LOG_FORMAT" default:"auto" enum:"auto,json,text" help:"auto: coloured text on a terminal, JSON otherwise."`
	Level  string `name:"log-level" env:"LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"The least important level that is written."`

	Payload PayloadSettings `embed:""`
}

// PayloadSettings say whether what is written to standard error repeats what
// events say. Their zero value says no.
type PayloadSettings struct {
	Payloads string `name:"log-payloads" env:"LOG_PAYLOADS" default:"masked" enum:"masked,shown" help:"What the log says of events. masked: ids of orders and goods, and what is wrong where. shown: the values that are wrong, too."`
}

// payloadsShown is the setting of logs that repeat what events say.
const payloadsShown = "shown"

func (s PayloadSettings) shown() bool { return s.Payloads == payloadsShown }

// logger writes to w, which is standard error: standard output is for data.
func (s LogSettings) logger(w io.Writer) *slog.Logger {
	cfg := telemetry.LogConfig{}
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Level))       // the enum has been checked
	_ = cfg.Format.UnmarshalText([]byte(s.Format)) // likewise
	cfg.Level = level
	return telemetry.NewLogger(w, cfg)
}
