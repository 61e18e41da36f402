package order

import (
	"slices"
	"strconv"
	"strings"

	"orderconsumer/internal/stock"
)

func (r *eventReader) itemList(at place) error {
	if r.decoder.PeekKind() != '[' {
		return r.reject(at, wantItems)
	}
	if _, err := r.decoder.ReadToken(); err != nil {
		return err
	}
	r.listed = 0
	for r.decoder.PeekKind() != ']' {
		r.listed++
		if err := r.oneItem(place{item: r.listed}); err != nil {
			return err
		}
	}
	_, err := r.decoder.ReadToken()
	return err
}

func (r *eventReader) oneItem(at place) error {
	if at.item > MaxItems {
		// Only counted: how much memory an event takes must not be up to
		// whoever wrote it.
		return r.skip()
	}
	r.items = append(r.items, item{})
	if err := r.object(at, r.itemMember); err != nil {
		return err
	}
	last := &r.items[len(r.items)-1]
	if last.goods.empty() {
		r.violate(at.of("goods_id"), "nothing", wantID)
	}
	if last.num == 0 {
		r.violate(at.of("num"), "nothing", wantNum)
	}
	return nil
}

func (r *eventReader) itemMember(at place, name []byte) error {
	last := &r.items[len(r.items)-1]
	switch string(name) {
	case "goods_id":
		return r.identifier(&last.goods, at.of("goods_id"), MaxIDBytes)
	case "num":
		return r.number(&last.num, at.of("num"))
	default:
		return r.skip()
	}
}

// number reads a JSON integer, or a string of its digits: some shops' languages
// write large integers as strings. Anything else that is equal to an integer,
// as 1.0 or 1e3, is refused, because it comes from arithmetic with fractions.
func (r *eventReader) number(into *int64, at place) error {
	kind := r.decoder.PeekKind()
	if kind != '"' && kind != '0' {
		return r.reject(at, wantNum)
	}
	raw, err := r.decoder.ReadValue()
	if err != nil {
		return err
	}
	text := []byte(raw)
	if kind == '"' {
		text = r.unquote(raw)
	}
	num, ok := numOf(text)
	if !ok {
		r.refuse(at, "", string(raw), wantNum)
		return nil
	}
	*into = num
	return nil
}

// numOf reads 1..MaxNum from plain decimal digits.
func numOf(digits []byte) (int64, bool) {
	if len(digits) > maxNumDigits || !allDigits(digits) || digits[0] == '0' {
		return 0, false
	}
	var num int64
	for _, digit := range digits {
		num = num*10 + int64(digit-'0')
	}
	return num, num <= MaxNum
}

const maxNumDigits = len("1000000000")

// lines are the items sorted by goods, the same goods summed.
func (r *eventReader) lines(text string) []stock.Line {
	if len(r.items) == 0 {
		return nil
	}
	lines := make([]stock.Line, len(r.items))
	for i, it := range r.items {
		lines[i] = stock.Line{Goods: it.goods.in(text), Num: it.num}
	}
	slices.SortFunc(lines, func(a, b stock.Line) int { return strings.Compare(a.Goods, b.Goods) })
	last := 0
	for _, line := range lines[1:] {
		if line.Goods == lines[last].Goods {
			lines[last].Num += line.Num
		} else {
			last++
			lines[last] = line
		}
	}
	lines = lines[:last+1]
	for i := range lines {
		if lines[i].Num > MaxNum {
			r.violate(place{member: "items"}, strconv.Itoa(int(lines[i].Num))+" of one goods in all", "at most "+strconv.Itoa(MaxNum))
		}
	}
	return lines
}
