// Package authority makes certificates for tests and for servers that tests
// run on. Nothing that is shipped links it.
package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Names of the files that Write makes in a folder.
const (
	CAFile        = "ca.pem"         // the authority's certificate
	ServerFile    = "server.pem"     // the server's key and certificate in one, as Kafka wants them
	ServerCert    = "server-crt.pem" // the same apart, as the others want them
	ServerKey     = "server-key.pem"
	ClientCert    = "client-crt.pem"
	ClientKey     = "client-key.pem"
	validFor      = 5 * 365 * 24 * time.Hour
	validBefore   = time.Hour // clocks differ
	serialBits    = 120
	onlyTheOwner  = 0o600
	folderOfOwner = 0o700
)

// Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// New makes an authority that nobody knows yet.
func New(name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of authority %s: %w", name, err)
	}
	template, err := template(name)
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &Authority{cert: cert, key: key}, nil
}

// Certificate is the authority's own, PEM.
func (a *Authority) Certificate() []byte { return encode("CERTIFICATE", a.cert.Raw) }

// Pool trusts this authority and no other.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Issue makes a certificate that is good for both sides of a connection. hosts
// are names and addresses of the machine; the first is also its common name.
// A lifetime that is not positive makes one that has expired.
func (a *Authority) Issue(lifetime time.Duration, hosts ...string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the key of %v: %w", hosts, err)
	}
	template, err := template(hosts[0])
	if err != nil {
		return tls.Certificate{}, err
	}
	template.NotAfter = time.Now().Add(lifetime)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	cert, err := sign(template, a.cert, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

// Encode writes a certificate and its key, both PEM.
func Encode(c tls.Certificate) (cert, key []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, nil, fmt.Errorf("write a key: %w", err)
	}
	return encode("CERTIFICATE", c.Certificate[0]), encode("PRIVATE KEY", der), nil
}

// Write makes an authority, a certificate of this machine and one of a client,
// and puts them into a folder under the names above.
func Write(folder string) error {
	a, err := New("order consumer tests")
	if err != nil {
		return err
	}
	server, err := a.Issue(validFor, "localhost", "127.0.0.1", "::1")
	if err != nil {
		return err
	}
	client, err := a.Issue(validFor, "orders")
	if err != nil {
		return err
	}
	serverCert, serverKey, err := Encode(server)
	if err != nil {
		return err
	}
	clientCert, clientKey, err := Encode(client)
	if err != nil {
		return err
	}
	err = os.MkdirAll(folder, folderOfOwner)
	if err != nil {
		return fmt.Errorf("make a folder for certificates: %w", err)
	}
	for name, text := range map[string][]byte{
		CAFile: a.Certificate(), ServerFile: bytes.Join([][]byte{serverKey, serverCert}, nil),
		ServerCert: serverCert, ServerKey: serverKey, ClientCert: clientCert, ClientKey: clientKey,
	} {
		err := os.WriteFile(filepath.Join(folder, name), text, onlyTheOwner)
		if err != nil {
			return fmt.Errorf("write a certificate: %w", err)
		}
	}
	return nil
}

func template(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-validBefore),
		NotAfter:     now.Add(validFor),
	}, nil
}

func sign(template, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		return nil, fmt.Errorf("sign for %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
