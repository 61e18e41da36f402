package cli

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ByteOrderMark is what some editors begin a file with. It is no part of what they say.
const ByteOrderMark = "\xef\xbb\xbf"

// Counted is a number of things.
func Counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Counted64 is Counted for large numbers.
func Counted64(n int64, thing string) string { return Counted(int(n), thing) }

// Shown is an id as a person reads it on a terminal: as it is, unless it could
// be taken for something else.
func Shown(id string) string {
	plain := func(r rune) bool { return unicode.IsGraphic(r) && (r == ' ' || !unicode.IsSpace(r)) }
	if id != "" && strings.TrimSpace(id) == id && strings.IndexFunc(id, func(r rune) bool { return !plain(r) }) < 0 {
		return id
	}
	return fmt.Sprintf("%q", id)
}

// OrDash is shown for an id that may be missing.
func OrDash(id string) string {
	if id == "" {
		return "-"
	}
	return Shown(id)
}

// Word is an argument as it is typed into a shell.
func Word(arg string) string {
	safe := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("-_./:@%+=,", r)
	}
	if arg != "" && strings.IndexFunc(arg, func(r rune) bool { return !safe(r) }) < 0 {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
