package web

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"orderconsumer/internal/order"
)

// checkID refuses what cannot be the id of an order or a goods by the contract
// of events, before anything is asked for it: a look-up that cannot succeed
// must not cost one.
func checkID(name, id string) error {
	switch {
	case id == "":
		return badID(name, "is empty")
	case len(id) > order.MaxIDBytes:
		return badID(name, fmt.Sprintf("has %d bytes, at most %d are allowed", len(id), order.MaxIDBytes))
	case !utf8.ValidString(id):
		return badID(name, "is not UTF-8")
	case strings.ContainsFunc(id, isControl):
		return badID(name, "has control characters")
	default:
		return nil
	}
}

// isControl is the contract's notion of a control character, which leaves out
// those above ASCII.
func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

func badID(name, why string) error {
	return newProblem(http.StatusBadRequest, "id_invalid", name+" "+why)
}
