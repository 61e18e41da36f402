package settings

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"orderconsumer/internal/kafka"
)

// ReachTimeout is how long Kafka may take to answer at first: long enough for
// one broker of three to be down, short enough for a person to wait.
const ReachTimeout = 5 * time.Second

// Kafka says how the brokers are reached.
type Kafka struct {
	Brokers      []string     `name:"kafka-brokers" env:"KAFKA_BROKERS" default:"localhost:9092" help:"Brokers to begin with, host:port, comma-separated."`
	TLS          bool         `name:"kafka-tls" env:"KAFKA_TLS" help:"Use TLS, and trust the authorities of this system; implied by the files below."`
	Certificates Certificates `embed:"" prefix:"kafka-" envprefix:"KAFKA_"`
	SASL         string       `name:"kafka-sasl" env:"KAFKA_SASL" default:"none" enum:"none,plain,scram-sha-256,scram-sha-512" help:"How to log in: none, plain (only with TLS, or everybody on the way reads the password), scram-sha-256 or scram-sha-512."`
	User         string       `name:"kafka-user" env:"KAFKA_USER" help:"User to log in as."`
	PasswordFile string       `name:"kafka-password-file" env:"KAFKA_PASSWORD_FILE" type:"path" help:"File whose first line is the user's password; without it the variable KAFKA_PASSWORD is, which has no flag, because flags stand in the process list."`
}

// kafkaPassword is the variable that takes the place of a password file.
const kafkaPassword = "KAFKA_PASSWORD"

// saslNone is the setting of brokers that do not ask who we are.
const saslNone = "none"

// Client opens nothing yet: connections are made when they are needed.
func (s Kafka) Client(id string) (*kafka.Client, error) {
	cfg := kafka.Config{Brokers: s.Brokers, ClientID: id}
	if len(s.Brokers) == 0 || s.Brokers[0] == "" {
		return nil, errors.New("no brokers: set KAFKA_BROKERS to host:port")
	}
	for _, broker := range s.Brokers {
		if !strings.Contains(broker, ":") {
			return nil, fmt.Errorf("broker %q has no port: set KAFKA_BROKERS to host:port, such as %s:9092", broker, broker)
		}
	}
	var err error
	if s.encrypted() {
		cfg.TLS, err = s.Certificates.config("KAFKA_")
		if err != nil {
			return nil, err
		}
	}
	cfg.Login, err = s.login()
	if err != nil {
		return nil, err
	}
	return kafka.Connect(cfg), nil
}

// encrypted reports whether the brokers are spoken to over TLS.
func (s Kafka) encrypted() bool { return s.TLS || s.Certificates.any() }

// logsIn reports whether the brokers are told who we are.
func (s Kafka) logsIn() bool { return s.SASL != "" && s.SASL != saslNone }

// login reads the password.
func (s Kafka) login() (kafka.Login, error) {
	if !s.logsIn() {
		if s.User != "" {
			return kafka.Login{}, fmt.Errorf("KAFKA_USER is %s and KAFKA_SASL does not say how to log in: set it to %s, %s or %s",
				s.User, kafka.LoginScram512, kafka.LoginScram256, kafka.LoginPlain)
		}
		return kafka.Login{}, nil
	}
	password, err := secret(s.PasswordFile, kafkaPassword)
	if err != nil {
		return kafka.Login{}, err
	}
	switch {
	case s.User == "":
		return kafka.Login{}, fmt.Errorf("KAFKA_SASL is %s: set KAFKA_USER to the user to log in as", s.SASL)
	case password == "":
		return kafka.Login{}, fmt.Errorf("KAFKA_SASL is %s: set KAFKA_PASSWORD_FILE to a file that holds the password of %s", s.SASL, s.User)
	}
	login, err := kafka.NewLogin(kafka.Credentials{Way: s.SASL, User: s.User, Password: password})
	if err != nil {
		return kafka.Login{}, fmt.Errorf("log in to Kafka as %s: %w", s.User, err)
	}
	return login, nil
}
