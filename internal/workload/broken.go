package workload

import (
	"strings"

	"orderconsumer/internal/order"
)

// brokenInfix stands between the prefix and the number of a broken event's
// marker, so that no marker is an order's id.
const brokenInfix = "broken-"

// breakage is one way to break the contract. Its text stands for the value; @
// stands for the marker.
type breakage struct {
	code string // what order.Decode calls it
	text string
}

// breakages are the ways that the workload knows. All fit on one line of a
// file, and none can be mended by a header.
var breakages = []breakage{
	{order.CodeMalformedJSON, `this is no order: @`},
	{order.CodeSchemaInvalid, `{"event_id":"@","type":"order.created","order_id":"@"}`},
	{order.CodeSchemaInvalid, withItems(`{"goods_id":"1","num":0}`)},
	{order.CodeDuplicateMember, `{"type":"order.created","order_id":"@","order_id":"@","items":[{"goods_id":"1","num":1}]}`},
	{order.CodeInvalidUTF8, withItems(`{"goods_id":"1","num":1,"note":"` + "\xff\xfe" + `"}`)},
	{order.CodeSchemaInvalid, `{"type":"order.paid","order_id":"@","items":[{"goods_id":"1","num":1}]}`},
	{order.CodeSchemaInvalid, withItems(strings.Repeat(`{"goods_id":"1","num":1},`, order.MaxItems) + `{"goods_id":"1","num":1}`)},
	{order.CodeMalformedJSON, `{"type":"order.created","order_id":"@","items":[{"goods_id":"1","n`},
	{order.CodeSchemaInvalid, withItems(`{"goods_id":"1","num":-1}`)},
	{order.CodeSchemaInvalid, withItems(`{"goods_id":"1","num":1000000001}`)},
	{order.CodeSchemaInvalid, withItems(`{"goods_id":"1","num":1.5}`)},
	{order.CodeSchemaInvalid, withItems(``)},
	{order.CodeSchemaInvalid, `{"event_id":"@","type":"order.created","items":[{"goods_id":"1","num":1}]}`},
	{order.CodeSchemaInvalid, withItems(`{"num":1}`)},
	{order.CodeSchemaInvalid, withItems(`{"goods_id":["1"],"num":1}`)},
	{order.CodeSchemaInvalid, `[{"type":"order.created","order_id":"@"}]`},
	{order.CodeSchemaInvalid, withItems(`{"goods_id":"` + strings.Repeat("9", order.MaxIDBytes+1) + `","num":1}`)},
	{order.CodeMalformedJSON, withItems(`{"goods_id":"1","num":1}`) + `{}`},
	{order.CodeMalformedJSON, withItems(`{"goods_id":"1","num":1,"note":` + strings.Repeat("[", order.MaxDepth) + strings.Repeat("]", order.MaxDepth) + `}`)},
}

// withItems is the event of an order with these items.
func withItems(items string) string {
	return `{"event_id":"@","type":"order.created","order_id":"@","items":[` + items + `]}`
}

// marker is what the n-th broken event, counted from zero, is recognised by.
func (w *Workload) marker(n int) string {
	return w.cfg.OrderPrefix + brokenInfix + padded(n+1)
}

// brokenItem is the n-th broken event. The ways follow one another, so that a
// short workload has them all.
func (w *Workload) brokenItem(n int) Item {
	marker := w.marker(n)
	text := breakages[n%len(breakages)].text
	return Item{
		Kind:  Broken,
		Key:   []byte(marker),
		Value: []byte(strings.ReplaceAll(text, "@", marker)),
		Event: order.Event{OrderID: marker},
	}
}
