// Package app puts the parts together: it reads the settings, opens the
// servers, and carries out the commands of the programs. Only main functions
// import it.
package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/telemetry"
)

// KafkaSettings say how the brokers are reached.
type KafkaSettings struct {
	Brokers []string `name:"kafka-brokers" env:"KAFKA_BROKERS" default:"localhost:9092" help:"Brokers to begin with, host:port, comma-separated."`
	TLS     bool     `name:"kafka-tls" env:"KAFKA_TLS" help:"Use TLS."`
	CA      string   `name:"kafka-ca" env:"KAFKA_CA_FILE" type:"path" help:"File with the certificate authority to trust instead of the system's; implies TLS."`
}

// Client opens nothing yet: connections are made when they are needed.
func (s KafkaSettings) Client(id string) (*kafka.Client, error) {
	cfg := kafka.Config{Brokers: s.Brokers, ClientID: id}
	if len(s.Brokers) == 0 || s.Brokers[0] == "" {
		return nil, errors.New("no brokers: set KAFKA_BROKERS to host:port")
	}
	for _, broker := range s.Brokers {
		if !strings.Contains(broker, ":") {
			return nil, fmt.Errorf("broker %q has no port: set KAFKA_BROKERS to host:port, such as %s:9092", broker, broker)
		}
	}
	if s.TLS || s.CA != "" {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, fmt.Errorf("read KAFKA_CA_FILE: %w", err)
		}
		cfg.TLS.RootCAs = x509.NewCertPool()
		if !cfg.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("KAFKA_CA_FILE %s holds no PEM certificate", s.CA)
		}
	}
	return kafka.Connect(cfg), nil
}

// LogSettings say how much is said, and how.
type LogSettings struct {
	Format string `name:"log-format" env:"LOG_FORMAT" default:"auto" enum:"auto,json,text" help:"auto: coloured text on a terminal, JSON otherwise."`
	Level  string `name:"log-level" env:"LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"The least important level that is written."`
}

// logger writes to w, which is standard error: standard output is for data.
func (s LogSettings) logger(w io.Writer) *slog.Logger {
	cfg := telemetry.LogConfig{}
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Level))       // the enum has been checked
	_ = cfg.Format.UnmarshalText([]byte(s.Format)) // likewise
	cfg.Level = level
	return telemetry.NewLogger(w, cfg)
}
