package settings

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
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

// TrustFix is the fix for a connection to a server that speaks TLS from the first byte, which failed
// because one side does not trust the other; empty when that was not the reason. variables is what the
// names of its settings begin with.
func TrustFix(at, variables string, err error) string { return doorOf(at, variables).trustFix(err) }

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

// HungUp is true when the server ended the connection without a word, which is
// what those do that were spoken to in the wrong way.
func HungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// Risk is what of the settings lets others read what is secret, and the fix.
func (s Redis) Risk() (what, fix string) {
	return RedisRisk("REDIS_", s.Certificates, s.URLs...)
}

// RedisRisk is the risk of servers whose variables begin so.
func RedisRisk(variables string, certificates Certificates, urls ...string) (what, fix string) {
	for _, target := range urls {
		u, err := redis.ParseURL(target)
		if err == nil && u.TLSConfig != nil && (certificates.Insecure || u.TLSConfig.InsecureSkipVerify) {
			return Insecure(variables)
		}
	}
	return "", ""
}

// Insecure is the risk of believing any certificate.
func Insecure(variables string) (what, fix string) {
	return "any certificate is believed: whoever is on the way may read and change everything, the password too",
		fmt.Sprintf("set %sCA_FILE, and remove %sTLS_INSECURE (or what the URL says of it)", variables, variables)
}

// StartServers is the fix for a server of the shop that does not answer;
// variable is the setting that says where it is.
func StartServers(variable string) string {
	return "start the servers (docker compose up -d, or scripts/servers up), or set " + variable
}
