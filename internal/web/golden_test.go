package web

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/stock"
)

// records are the orders every test's world knows.
var records = map[string]stock.Record{
	"A-1001": {
		Order: "A-1001", State: stock.Deducted, Attempts: 1, DecidedAt: decidedAt,
		Lines:  []stock.Line{{Goods: "421", Num: 2}, {Goods: "a&b <c>", Num: 1_000_000_000}},
		Origin: stock.Origin{Topic: "orders", Partition: 3, Offset: math.MaxInt64},
	},
	"A-1002": {
		Order: "A-1002", State: stock.Rejected, Attempts: 2, DecidedAt: decidedAt,
		Lines:     []stock.Line{{Goods: "421", Num: 9}},
		Shortages: []stock.Shortage{{Goods: "421", Wanted: 9, Available: 4}},
		Origin:    stock.Origin{Topic: "orders.shop.retry.5s", Partition: 0, Offset: 7},
	},
	"A-1003": {
		Order: "A-1003", State: stock.Released, Attempts: 1,
		DecidedAt:  decidedAt.In(time.FixedZone("UTC+8", 8*60*60)), // shown in UTC all the same
		ReleasedAt: decidedAt.Add(time.Hour),
		Lines:      []stock.Line{{Goods: "421", Num: 1}},
		Origin:     stock.Origin{Topic: "orders", Partition: 1, Offset: 0},
	},
	"A-1004": {
		Order: "A-1004", State: stock.Voided, Attempts: 1, DecidedAt: decidedAt,
		Origin: stock.Origin{Topic: "orders", Partition: 2, Offset: 12},
	},
}

// levels are the goods every test's world knows.
var levels = map[string]stock.Level{
	"421": {Goods: "421", Available: 4, UpdatedAt: decidedAt},
	"422": {Goods: "422", Available: math.MaxInt64, UpdatedAt: decidedAt},
	"423": {Goods: "423", Available: 0, UpdatedAt: decidedAt.Truncate(time.Second)},
}

// goldenCase is a question whose whole answer is kept under testdata, and whose
// shape contract/openapi.yaml states.
type goldenCase struct {
	name   string // of the file, without .json
	method string // GET when empty
	target string
	route  string // the path in contract/openapi.yaml; empty when there is none
	status int
	fail   error // what the database answers, if it does
}

var goldenCases = []goldenCase{
	{name: "order_deducted", target: "/v1/orders/A-1001", route: "/v1/orders/{order_id}", status: 200},
	{name: "order_rejected", target: "/v1/orders/A-1002", route: "/v1/orders/{order_id}", status: 200},
	{name: "order_released", target: "/v1/orders/A-1003", route: "/v1/orders/{order_id}", status: 200},
	{name: "order_voided", target: "/v1/orders/A-1004", route: "/v1/orders/{order_id}", status: 200},
	{name: "order_unknown", target: "/v1/orders/nobody", route: "/v1/orders/{order_id}", status: 404},
	{name: "order_id_invalid", target: "/v1/orders/a%0Ab", route: "/v1/orders/{order_id}", status: 400},
	{name: "order_unavailable", target: "/v1/orders/A-1001", route: "/v1/orders/{order_id}", status: 503,
		fail: stock.ErrUnavailable},
	{name: "order_timeout", target: "/v1/orders/A-1001", route: "/v1/orders/{order_id}", status: 504,
		fail: context.DeadlineExceeded},
	{name: "order_internal", target: "/v1/orders/A-1001", route: "/v1/orders/{order_id}", status: 500,
		fail: errors.New("user root, password hunter2")},
	{name: "level", target: "/v1/stock/421", route: "/v1/stock/{goods_id}", status: 200},
	{name: "level_largest", target: "/v1/stock/422", route: "/v1/stock/{goods_id}", status: 200},
	{name: "level_unknown", target: "/v1/stock/9", route: "/v1/stock/{goods_id}", status: 404},
	{name: "level_id_invalid", target: "/v1/stock/%FF", route: "/v1/stock/{goods_id}", status: 400},
	{name: "level_unavailable", target: "/v1/stock/421", route: "/v1/stock/{goods_id}", status: 503,
		fail: stock.ErrUnavailable},
	{name: "level_overloaded", target: "/v1/stock/421", route: "/v1/stock/{goods_id}", status: 503,
		fail: stock.ErrOverloaded},
	{name: "level_timeout", target: "/v1/stock/421", route: "/v1/stock/{goods_id}", status: 504,
		fail: context.DeadlineExceeded},
	{name: "level_internal", target: "/v1/stock/421", route: "/v1/stock/{goods_id}", status: 500,
		fail: errors.New("user root, password hunter2")},
	{name: "levels", target: "/v1/stock?goods_id=423&goods_id=9&goods_id=421&goods_id=423&goods_id=8",
		route: "/v1/stock", status: 200},
	{name: "levels_none_known", target: "/v1/stock?goods_id=9", route: "/v1/stock", status: 200},
	{name: "levels_all_known", target: "/v1/stock?goods_id=421", route: "/v1/stock", status: 200},
	{name: "levels_missing", target: "/v1/stock", route: "/v1/stock", status: 400},
	{name: "levels_misspelt", target: "/v1/stock?goods=421", route: "/v1/stock", status: 400},
	{name: "levels_malformed", target: "/v1/stock?goods_id=%zz", route: "/v1/stock", status: 400},
	{name: "levels_too_many", target: "/v1/stock?" + strings.Repeat("goods_id=1&", maxGoods) + "goods_id=1",
		route: "/v1/stock", status: 400},
	{name: "levels_one_invalid", target: "/v1/stock?goods_id=421&goods_id=", route: "/v1/stock", status: 400},
	{name: "levels_timeout", target: "/v1/stock?goods_id=421", route: "/v1/stock", status: 504,
		fail: context.DeadlineExceeded},
	{name: "levels_unavailable", target: "/v1/stock?goods_id=421", route: "/v1/stock", status: 503,
		fail: stock.ErrUnavailable},
	{name: "levels_overloaded", target: "/v1/stock?goods_id=421", route: "/v1/stock", status: 503,
		fail: stock.ErrOverloaded},
	{name: "levels_internal", target: "/v1/stock?goods_id=421", route: "/v1/stock", status: 500,
		fail: errors.New("user root, password hunter2")},
	{name: "route_unknown", target: "/v2/orders?id=1", status: 404},
	{name: "method_not_allowed", method: http.MethodDelete, target: "/v1/orders/A-1001", status: 405},
}

// ask puts the question of a case to a world of its own.
func (c goldenCase) ask(t *testing.T) (status int, header http.Header, body []byte) {
	t.Helper()
	b := setup(t)
	if c.fail != nil {
		fail := fmt.Errorf("query: %w", c.fail)
		b.deps.Orders = lookup(func(context.Context, string) (stock.Record, error) { return stock.Record{}, fail })
		b.deps.Levels = catalogue{fail: fail}
	}
	r, err := http.NewRequest(c.method, c.target, nil)
	if err != nil {
		t.Fatal(err)
	}
	rec := b.do(t, r)
	return rec.Code, rec.Header(), rec.Body.Bytes()
}

// notModified asks once more, for another answer than the one of that tag.
func (c goldenCase) notModified(t *testing.T, tag string) (status int) {
	t.Helper()
	r, err := http.NewRequest(c.method, c.target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("If-None-Match", tag)
	rec := setup(t).do(t, r)
	if rec.Body.Len() > 0 {
		t.Errorf("%s: %d has a body", c.name, rec.Code)
	}
	return rec.Code
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range goldenCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status, header, body := c.ask(t)
			if status != c.status {
				t.Errorf("status is %d, want %d", status, c.status)
			}
			want := http.Header{
				"Content-Type":                 {"application/json"},
				"Content-Length":               {fmt.Sprint(len(body))},
				"Cache-Control":                {"no-store"},
				"X-Content-Type-Options":       {"nosniff"},
				"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'"},
				"Cross-Origin-Resource-Policy": {"same-origin"},
				"Referrer-Policy":              {"no-referrer"},
			}
			if c.status == 200 && strings.HasPrefix(c.route, "/v1/stock") {
				want.Set("Cache-Control", "no-cache")
				want.Set("Age", "1")
				want.Set("ETag", header.Get("ETag"))
				if !regexp.MustCompile(`^"[0-9a-f]{24}"$`).MatchString(header.Get("ETag")) {
					t.Errorf("ETag is %s", header.Get("ETag"))
				}
			}
			if c.status != 200 {
				want.Set("Content-Type", "application/problem+json")
			}
			if c.status == 503 || c.status == 504 {
				want.Set("Retry-After", "2")
			}
			if c.status == 405 {
				want.Set("Allow", "GET, HEAD")
			}
			if diff := cmp.Diff(want, header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			golden(t, c.name+".json", body)
		})
	}
}
