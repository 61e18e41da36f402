package settings

import (
	"errors"
	"net/url"
)

// Database says where the stock lives.
type Database struct {
	URL          string       `name:"database-url" env:"DATABASE_URL" default:"mysql://orders:orders@localhost:3306/orders" help:"MySQL or MariaDB: mysql://user:password@host:port/database."`
	PasswordFile string       `name:"database-password-file" env:"DATABASE_PASSWORD_FILE" type:"path" help:"File whose first line replaces the password in the URL; without it the variable DATABASE_PASSWORD does."`
	Certificates Certificates `embed:"" prefix:"database-" envprefix:"DATABASE_"`
}

// DatabasePassword is the variable that takes the place of a password file.
const DatabasePassword = "DATABASE_PASSWORD"

// Resolved is the URL with the password and the certificates of the other
// settings, if there are any.
func (s Database) Resolved() (string, error) {
	password, err := secret(s.PasswordFile, DatabasePassword)
	if err != nil {
		return "", err
	}
	options, err := s.options()
	if err != nil || (password == "" && len(options) == 0) {
		return s.URL, err
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.User.Username() == "" {
		return "", errors.New("DATABASE_PASSWORD_FILE and DATABASE_CA_FILE need a DATABASE_URL with a user: mysql://user@host:port/database")
	}
	if password != "" {
		u.User = url.UserPassword(u.User.Username(), password)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return s.URL, nil //nolint:nilerr // whoever connects says what is wrong with it
	}
	for name, value := range options {
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// options are the settings of TLS as the database's URL has them.
func (s Database) options() (map[string]string, error) {
	if !s.Certificates.any() {
		return nil, nil
	}
	// Read here too, so that what is wrong with a file is told by the name of
	// the setting that leads to it.
	_, err := s.Certificates.config("DATABASE_")
	if err != nil {
		return nil, err
	}
	options := map[string]string{"tls": "true"}
	if s.Certificates.Insecure {
		options["tls"] = "skip-verify"
	}
	for name, path := range map[string]string{
		"tls-ca": s.Certificates.CA, "tls-cert": s.Certificates.Cert, "tls-key": s.Certificates.Key,
	} {
		if path != "" {
			options[name] = path
		}
	}
	return options, nil
}
