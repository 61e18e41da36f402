package app

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"orderconsumer/internal/order"
)

// stockCommands read and change levels.
type stockCommands struct {
	Import stockImportCommand `cmd:"" help:"Set or raise the levels of many goods, from a CSV file."`
	Set    stockSetCommand    `cmd:"" help:"Make one level what was counted."`
	Add    stockAddCommand    `cmd:"" help:"Put goods that came in on top of a level."`
	Get    stockGetCommand    `cmd:"" help:"Show the levels of some goods."`
	List   stockListCommand   `cmd:"" help:"Show the levels of all goods, by id."`
}

// checkGoods refuses a goods id that no order could ever name.
func checkGoods(id string) error {
	switch {
	case id == "":
		return errors.New("goods id is empty")
	case len(id) > order.MaxIDBytes:
		return fmt.Errorf("goods id of %d bytes, the most is %d", len(id), order.MaxIDBytes)
	case !utf8.ValidString(id):
		return fmt.Errorf("goods id %q is not UTF-8", id)
	case strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("goods id %q has control characters", id)
	default:
		return nil
	}
}
