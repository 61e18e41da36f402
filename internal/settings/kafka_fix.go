package settings

import (
	"fmt"
	"strings"

	"orderconsumer/internal/kafka"
)

// Fix is the fix for brokers that do not serve us, and whether they are there:
// then it is all that stands between us.
func (s Kafka) Fix(err error) (fix string, theyAreThere bool) {
	at := strings.Join(s.Brokers, ",")
	if fix := doorOf(s.Brokers[0], "KAFKA_").trustFix(err); fix != "" {
		return fix, true
	}
	switch {
	case kafka.LoginFailed(err):
		return fmt.Sprintf("set KAFKA_USER (now %s) and KAFKA_PASSWORD_FILE to what the brokers know; kafka-configs.sh --bootstrap-server %s --describe --entity-type users shows who may use SCRAM", s.User, at), true
	case kafka.LoginUnknown(err):
		return fmt.Sprintf("set KAFKA_SASL (now %s) to a mechanism in sasl.enabled.mechanisms of the brokers", s.SASL), true
	case kafka.Denied(err):
		return s.Grant(), true
	case HungUp(err) && !s.encrypted():
		return "if the brokers speak TLS set KAFKA_CA_FILE or KAFKA_TLS=true, if they ask who we are set KAFKA_SASL, if neither look into their log", true
	case HungUp(err) && !s.logsIn():
		return "if the brokers ask who we are set KAFKA_SASL, KAFKA_USER and KAFKA_PASSWORD_FILE; if this is not their port for TLS, connect to that or remove KAFKA_TLS and KAFKA_CA_FILE", true
	case HungUp(err):
		return fmt.Sprintf("some brokers hang up on a user or password they do not know: look at KAFKA_USER (now %s) and KAFKA_PASSWORD_FILE, whether KAFKA_BROKERS is their port for SASL, and into their log", s.User), true
	default:
		return StartServers("KAFKA_BROKERS"), false
	}
}

// Grant is the fix for something the brokers do not let us do.
func (s Kafka) Grant() string {
	user := s.User
	if user == "" {
		user = "ANONYMOUS"
	}
	return fmt.Sprintf("kafka-acls.sh --bootstrap-server %s --list --principal User:%s shows what is granted; docs/security.md has what is needed", strings.Join(s.Brokers, ","), user)
}

// Manner is how the brokers are spoken to, for a person; empty for the plainest.
func (s Kafka) Manner() string {
	manner := ""
	if s.encrypted() {
		manner += " over TLS"
	}
	if s.logsIn() {
		manner += fmt.Sprintf(" as %s (%s)", s.User, s.SASL)
	}
	return manner
}

// Risk is what of the settings lets others read what is secret, and the fix.
func (s Kafka) Risk() (what, fix string) {
	switch {
	case s.Certificates.Insecure:
		return Insecure("KAFKA_")
	case s.SASL == kafka.LoginPlain && !s.encrypted():
		return "the password goes over the network as it is", "set KAFKA_CA_FILE or KAFKA_TLS=true, or KAFKA_SASL=" + kafka.LoginScram512
	default:
		return "", ""
	}
}
