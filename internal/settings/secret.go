package settings

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecretBytes is far above any password: whoever names the wrong file is
// told so instead of waiting for it to be read.
const maxSecretBytes = 4 << 10

// errSecretTooLong is what a file that is no password file is refused with.
var errSecretTooLong = fmt.Errorf("its first line is longer than %d bytes: is it a password?", maxSecretBytes)

// noSecret in the place of a file is no password, whatever the variable holds.
const noSecret = "-"

// secret is the first line of a file or, when no file is named, what the
// variable holds, which may be nothing. No error shows it. The name of the
// file's setting is variable with _FILE behind it.
func secret(file, variable string) (string, error) {
	switch file {
	case "":
		return os.Getenv(variable), nil
	case noSecret:
		return "", nil
	}
	text, err := head(file, maxSecretBytes+2)
	if err != nil {
		return "", fmt.Errorf("read %s_FILE: %w", variable, err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimRight(line, "\r")
	switch {
	case line == "":
		return "", fmt.Errorf("read %s_FILE: %s: its first line is empty", variable, file)
	case len(line) > maxSecretBytes:
		return "", fmt.Errorf("read %s_FILE: %s: %w", variable, file, errSecretTooLong)
	}
	return line, nil
}

// head is the beginning of a file.
func head(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return io.ReadAll(io.LimitReader(file, limit))
}
