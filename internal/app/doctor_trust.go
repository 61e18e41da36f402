package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/kafka"
)

// door is a server as errors of TLS and of logging in speak about it.
type door struct {
	at        string // host:port, as a person would type it
	variables string // what the names of its settings begin with: KAFKA_, REDIS_, DATABASE_
	look      string // the command that shows its certificate
}

// doorOf is a server that speaks TLS from the first byte.
func doorOf(at, variables string) door {
	return door{at: at, variables: variables, look: "openssl s_client -showcerts -connect " + at}
}

// trustFix is the fix for a connection that failed because one side does not
// trust the other; empty when that was not the reason. No waiting mends it.
func (d door) trustFix(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("set %sCA_FILE to the certificate of the authority that signed for %s; %s shows who did", d.variables, d.at, d.look)
	case errors.As(err, &name):
		return fmt.Sprintf("connect to %s by a name its certificate is for (%s), or give it one for the name %s", d.at, namesOf(name.Certificate), name.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("renew the certificate of %s, or set the clock of this machine; %s shows the dates", d.at, d.look)
	case errors.As(err, &record):
		return fmt.Sprintf("%s does not speak TLS: connect to its port for TLS, or ask for none: no %sCA_FILE, no TLS in its URL or in KAFKA_TLS", d.at, d.variables)
	case remoteAlert(err):
		return fmt.Sprintf("set %sCERT_FILE and %sKEY_FILE to a certificate that %s trusts, and its key", d.variables, d.variables, d.at)
	default:
		return ""
	}
}

// namesOf are the names a certificate is for.
func namesOf(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "it has none"
	}
	return strings.Join(names, ", ")
}

// remoteAlert is true when the server did not like our certificate, or that we
// have none. The type of such errors is not exported.
func remoteAlert(err error) bool {
	text := err.Error()
	for _, alert := range []string{"certificate required", "bad certificate", "unknown certificate", "handshake failure"} {
		if strings.Contains(text, "remote error: tls: "+alert) {
			return true
		}
	}
	return false
}

// hungUp is true when the server ended the connection without a word, which is
// what those do that were spoken to in the wrong way.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// fix is the fix for brokers that do not serve us, and whether they are there:
// then it is all that stands between us.
func (s KafkaSettings) fix(err error) (fix string, theyAreThere bool) {
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
		return s.grant(), true
	case hungUp(err) && !s.encrypted():
		return "if the brokers speak TLS set KAFKA_CA_FILE or KAFKA_TLS=true, if they ask who we are set KAFKA_SASL, if neither look into their log", true
	case hungUp(err) && !s.logsIn():
		return "if the brokers ask who we are set KAFKA_SASL, KAFKA_USER and KAFKA_PASSWORD_FILE; if this is not their port for TLS, connect to that or remove KAFKA_TLS and KAFKA_CA_FILE", true
	case hungUp(err):
		return fmt.Sprintf("some brokers hang up on a user or password they do not know: look at KAFKA_USER (now %s) and KAFKA_PASSWORD_FILE, whether KAFKA_BROKERS is their port for SASL, and into their log", s.User), true
	default:
		return startServers("KAFKA_BROKERS"), false
	}
}

// grant is the fix for something the brokers do not let us do.
func (s KafkaSettings) grant() string {
	user := s.User
	if user == "" {
		user = "ANONYMOUS"
	}
	return fmt.Sprintf("kafka-acls.sh --bootstrap-server %s --list --principal User:%s shows what is granted; docs/security.md has what is needed", strings.Join(s.Brokers, ","), user)
}

// manner is how the brokers are spoken to, for a person; empty for the plainest.
func (s KafkaSettings) manner() string {
	manner := ""
	if s.encrypted() {
		manner += " over TLS"
	}
	if s.logsIn() {
		manner += fmt.Sprintf(" as %s (%s)", s.User, s.SASL)
	}
	return manner
}

// risk is what of the settings lets others read what is secret, and the fix.
func (s KafkaSettings) risk() (what, fix string) {
	switch {
	case s.Certificates.Insecure:
		return insecure("KAFKA_")
	case s.SASL == kafka.LoginPlain && !s.encrypted():
		return "the password goes over the network as it is", "set KAFKA_CA_FILE or KAFKA_TLS=true, or KAFKA_SASL=" + kafka.LoginScram512
	default:
		return "", ""
	}
}

// risk is what of the settings lets others read what is secret, and the fix.
func (s RedisSettings) risk() (what, fix string) {
	return redisRisk("REDIS_", s.Certificates, s.URLs...)
}

// redisRisk is the risk of servers whose variables begin so.
func redisRisk(variables string, certificates CertificateSettings, urls ...string) (what, fix string) {
	for _, target := range urls {
		u, err := redis.ParseURL(target)
		if err == nil && u.TLSConfig != nil && (certificates.Insecure || u.TLSConfig.InsecureSkipVerify) {
			return insecure(variables)
		}
	}
	return "", ""
}

// insecure is the risk of believing any certificate.
func insecure(variables string) (what, fix string) {
	return "any certificate is believed: whoever is on the way may read and change everything, the password too",
		fmt.Sprintf("set %sCA_FILE, and remove %sTLS_INSECURE (or what the URL says of it)", variables, variables)
}

// exposed warns of a risk, if there is one.
func (c *chart) exposed(name, what, fix string) {
	if what != "" {
		c.note(finding{Name: name + " security", Status: statusWarn, What: what, Fix: fix})
	}
}
