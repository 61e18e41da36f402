package app

import (
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/settings"
)

// insecureFlag is what the names of the flags end with that believe any
// certificate.
const insecureFlag = "tls-insecure"

// warnInsecure says at the start of a command that it believes any certificate. run
// and doctor look at it among other things, and say it in their own way.
func warnInsecure(line *kong.Context, s *cli.Session) {
	command, _, _ := strings.Cut(line.Command(), " ")
	if command == "run" || command == "doctor" {
		return
	}
	for _, flag := range line.Flags() {
		if believes, ok := reflect.TypeAssert[bool](flag.Target); ok && believes && strings.HasSuffix(flag.Name, insecureFlag) {
			what, fix := settings.Insecure(strings.TrimSuffix(flag.Envs[0], "TLS_INSECURE"))
			s.Say("%s: %s: %s\n  try: %s", s.Name, flag.Envs[0], what, fix)
		}
	}
}
