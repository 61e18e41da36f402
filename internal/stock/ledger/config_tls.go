package ledger

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"

	"github.com/go-sql-driver/mysql"
)

// Options of a URL about TLS.
const (
	optionTLS     = "tls"
	optionTLSCA   = "tls-ca"
	optionTLSCert = "tls-cert"
	optionTLSKey  = "tls-key"
)

var tlsOptions = []string{optionTLS, optionTLSCA, optionTLSCert, optionTLSKey}

// Values of the option tls.
const (
	tlsOn         = "true"
	tlsOff        = "false"
	tlsUnverified = "skip-verify" // any certificate is believed
	tlsPreferred  = "preferred"   // TLS unless the server has none, and any certificate is believed
)

// applyTLS sets what the URL's query says about TLS. A file implies it.
func applyTLS(cfg *mysql.Config, query url.Values, host string) error {
	mode := query.Get(optionTLS)
	if query.Has(optionTLS) && !slices.Contains([]string{tlsOn, tlsOff, tlsUnverified, tlsPreferred}, mode) {
		return fmt.Errorf("option tls=%s: want true, false, skip-verify or preferred", mode)
	}
	for _, option := range []string{optionTLSCA, optionTLSCert, optionTLSKey} {
		if query.Has(option) && query.Get(option) == "" { // a variable that is not set must not turn TLS off
			return fmt.Errorf("option %s: names no file; remove it, or name one", option)
		}
	}
	ca, cert, key := query.Get(optionTLSCA), query.Get(optionTLSCert), query.Get(optionTLSKey)
	if ca == "" && cert == "" && key == "" {
		cfg.TLSConfig = mode
		return nil
	}
	if mode == tlsOff || mode == tlsPreferred {
		return fmt.Errorf("option tls=%s: with tls-ca or tls-cert it is true or skip-verify", mode)
	}
	conf := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: mode == tlsUnverified} //nolint:gosec // asked for by name
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("option tls-ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("option tls-ca: no certificate in %s", ca)
		}
	}
	if cert != "" || key != "" {
		own, err := tls.LoadX509KeyPair(cert, key)
		if path, ok := errors.AsType[*os.PathError](err); ok {
			return fmt.Errorf("options tls-cert and tls-key: %w", path)
		}
		if err != nil {
			// The parser might quote what it does not understand.
			return fmt.Errorf("options tls-cert and tls-key: %s and %s are not a PEM certificate and the private key that belongs to it", cert, key)
		}
		conf.Certificates = []tls.Certificate{own}
	}
	cfg.TLS = conf
	return nil
}
