package app

import (
	"fmt"
	"net/url"
	"os"
	"strings"
)

// resolved is the URL with the password from the file, if there is one.
func (s DatabaseSettings) resolved() (string, error) {
	if s.Password == "" {
		return s.URL, nil
	}
	text, err := os.ReadFile(s.Password)
	if err != nil {
		return "", fmt.Errorf("read DATABASE_PASSWORD_FILE: %w", err)
	}
	password, _, _ := strings.Cut(string(text), "\n")
	u, err := url.Parse(s.URL)
	if err != nil || u.User == nil {
		return "", fmt.Errorf("DATABASE_PASSWORD_FILE needs a DATABASE_URL with a user: mysql://user@host:port/database")
	}
	u.User = url.UserPassword(u.User.Username(), strings.TrimRight(password, "\r"))
	return u.String(), nil
}
