package settings

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Certificates say whom TLS trusts and what we show of ourselves. There
// is one set for each kind of server.
type Certificates struct {
	CA       string `name:"ca" env:"CA_FILE" type:"path" help:"File with the certificate authorities to trust instead of this system's, PEM; implies TLS."`
	Cert     string `name:"cert" env:"CERT_FILE" type:"path" help:"File with the certificate to show to servers that ask for one, PEM; implies TLS."`
	Key      string `name:"key" env:"KEY_FILE" type:"path" help:"File with the private key of that certificate, PEM."`
	Insecure bool   `name:"tls-insecure" env:"TLS_INSECURE" help:"Use TLS and believe any certificate: whoever is on the way may read and change everything, passwords too. For trying out."`
}

// any reports whether something is set, which means that TLS is wanted.
func (s Certificates) any() bool { return s != Certificates{} }

// config reads the files. variables is what the names of the variables begin
// with.
func (s Certificates) config(variables string) (*tls.Config, error) {
	cfg := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: s.Insecure, //nolint:gosec // asked for by name, and warned about at every start
	}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, fmt.Errorf("read %sCA_FILE: %w", variables, err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%sCA_FILE %s holds no PEM certificate", variables, s.CA)
		}
	}
	if (s.Cert == "") != (s.Key == "") {
		return nil, fmt.Errorf("%sCERT_FILE and %sKEY_FILE belong together: set both or neither", variables, variables)
	}
	if s.Cert != "" {
		own, err := tls.LoadX509KeyPair(s.Cert, s.Key)
		if err != nil {
			return nil, fmt.Errorf("%sCERT_FILE %s and %sKEY_FILE %s: %w", variables, s.Cert, variables, s.Key, keyFault(err))
		}
		cfg.Certificates = []tls.Certificate{own}
	}
	return cfg, nil
}

// keyFault words what is wrong with a pair of files in our words, unless it is
// that they cannot be read: a parser might quote what it does not understand.
func keyFault(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path
	}
	return errors.New("they are not a PEM certificate and the private key that belongs to it")
}
