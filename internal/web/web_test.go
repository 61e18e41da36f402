package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

func TestErrorsOfTheLedgerBecomeStatuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want int
	}{
		{stock.ErrNotFound, 404},
		{stock.ErrUnavailable, 503},
		{stock.ErrBusy, 503},
		{stock.ErrOverloaded, 503},
		{errors.Join(stock.ErrOverloaded, context.DeadlineExceeded), 503},
		{errors.Join(stock.ErrUnavailable, context.DeadlineExceeded), 503},
		{context.DeadlineExceeded, 504},
		{context.Canceled, 503},
		{stock.ErrUnknownCommit, 500}, // a reader commits nothing
		{errors.New("anything else"), 500},
	} {
		t.Run(fmt.Sprint(tt.err, " is ", tt.want), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.Levels = catalogue{fail: fmt.Errorf("query: %w", tt.err)}
			for _, target := range []string{"/v1/stock/421", "/v1/stock?goods_id=421"} {
				rec := b.get(t, target)
				if rec.Code != tt.want {
					t.Errorf("%s: status is %d, want %d", target, rec.Code, tt.want)
				}
				if later := rec.Header().Get("Retry-After") != ""; later != (tt.want == 503 || tt.want == 504) {
					t.Errorf("%s: Retry-After is %q", target, rec.Header().Get("Retry-After"))
				}
			}
			// Only what is wrong inside is an error of ours, logged once a request.
			wantErrors := 0
			if tt.want == 500 {
				wantErrors = 2
			}
			if got := strings.Count(b.log.String(), `"level":"ERROR"`); got != wantErrors {
				t.Errorf("%d errors were logged, want %d:\n%s", got, wantErrors, b.log)
			}
		})
	}
}

func TestALookUpThatDoesNotEndIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.deps.Orders = lookup(func(ctx context.Context, _ string) (stock.Record, error) {
			<-ctx.Done()
			return stock.Record{}, fmt.Errorf("query: %w", ctx.Err())
		})
		began := time.Now()
		if rec := b.get(t, "/v1/orders/A-1001"); rec.Code != http.StatusGatewayTimeout {
			t.Errorf("status is %d, want 504", rec.Code)
		}
		if took := time.Since(began); took != defaultLookupTimeout {
			t.Errorf("it took %s, want %s", took, defaultLookupTimeout)
		}
	})
}

// TestIDsAreDecodedExactlyOnce goes over the network: what a client library
// would do to the path must not come between.
func TestIDsAreDecodedExactlyOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Orders = lookup(func(_ context.Context, id string) (stock.Record, error) {
		return stock.Record{Order: id, State: stock.Voided, DecidedAt: decidedAt}, nil
	})
	addr, _ := b.start(t)
	for path, want := range map[string]string{
		"a%2Fb":              "a/b",
		"a%2fb":              "a/b",
		"a%252Fb":            "a%2Fb",
		"%2F%2F":             "//",
		"%2E%2E":             "..",
		"%2E":                ".",
		"a+b":                "a+b",
		"a%20b":              "a b",
		"a;b,c=d":            "a;b,c=d",
		"%E8%AE%A2%E5%8D%95": "\u8ba2\u5355",
		"a%3Fb%23c":          "a?b#c",
		"%7Border_id%7D":     "{order_id}",
	} {
		status, body := rawGet(t, addr, "/v1/orders/"+path)
		if want := fmt.Sprintf(`{"order_id":%q,`, want); status != 200 || !strings.HasPrefix(body, want) {
			t.Errorf("%s: answer is %d %s, want %s", path, status, body, want)
		}
	}
}

func TestPathsThatWouldBeCleanedAreUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	addr, _ := b.start(t)
	for _, path := range []string{
		"//v1/orders/a%2Fb", "/v1//orders/A-1001", "/v1/orders/../orders/A-1001", "/v1/orders/./A-1001",
		"/v1/orders/", "/v1/orders", "/v1/orders/A-1001/", "/v1/orders/a/b", "/v1/stock/", "/", "/v1", "/livez/",
	} {
		if status, body := rawGet(t, addr, path); status != 404 || !strings.Contains(body, `"code":"route_unknown"`) {
			t.Errorf("%s: answer is %d %s, want an unknown route", path, status, body)
		}
	}
}

// rawGet sends the path as it stands.
func rawGet(t *testing.T, addr, path string) (status int, body string) {
	t.Helper()
	status, body, err := rawAsk(addr, path)
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}

// rawAsk is rawGet for other goroutines than the test's own.
func rawAsk(addr, path string) (status int, body string, err error) {
	r, err := http.NewRequest(http.MethodGet, "http://"+addr, nil)
	if err != nil {
		return 0, "", err
	}
	r.URL.Opaque = "//" + addr + path
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func TestIDsOutsideTheContractAreRefusedBeforeAnyLookUp(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", order.MaxIDBytes)
	widest := strings.Repeat("%E8%AE%A2", order.MaxIDBytes/3) // 63 bytes of three each
	for _, tt := range []struct {
		id string
		ok bool
	}{
		{"x", true},
		{longest, true},
		{longest + "x", false},
		{widest, true},
		{widest + "xx", false},
		{"a%00b", false},
		{"a%1Fb", false},
		{"a%7Fb", false},
		{"a%C2%85b", true}, // the contract does not count these as control characters
		{"%FF", false},
		{"%ED%A0%80", false}, // half a surrogate pair
	} {
		b := setup(t)
		asked := 0
		b.deps.Orders = lookup(func(context.Context, string) (stock.Record, error) { asked++; return stock.Record{}, nil })
		rec := b.get(t, "/v1/orders/"+tt.id)
		if got := rec.Code == 200 && asked == 1; got != tt.ok || !tt.ok && (rec.Code != 400 || asked != 0) {
			t.Errorf("order %.80s: status is %d after %d look-ups, want it taken: %v", tt.id, rec.Code, asked, tt.ok)
		}
		for _, target := range []string{"/v1/stock/" + tt.id, "/v1/stock?goods_id=421&goods_id=" + tt.id} {
			if rec := b.get(t, target); (rec.Code == 400) == tt.ok {
				t.Errorf("%.80s: status is %d, want the id taken: %v", target, rec.Code, tt.ok)
			}
		}
	}
}

func TestTheLargestMultiGetFitsIntoARequest(t *testing.T) {
	t.Parallel()
	addr, _ := setup(t).start(t)
	var query []string
	for i := range maxGoods {
		// Every byte as %XX, every id different.
		var id strings.Builder
		for _, c := range []byte(fmt.Sprintf("%0*d", order.MaxIDBytes, i)) {
			fmt.Fprintf(&id, "%%%02X", c)
		}
		query = append(query, "goods_id="+id.String())
	}
	status, body := rawGet(t, addr, "/v1/stock?"+strings.Join(query, "&"))
	if status != 200 || !strings.HasPrefix(body, `{"stock":[],"unknown":["`) || strings.Count(body, ",") != maxGoods {
		t.Errorf("answer is %d %.200s", status, body)
	}
}

func TestOnlyGetAndHeadAreAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Pprof = true
	for _, route := range b.server(t).routes() {
		target := strings.NewReplacer("{order_id}", "A-1001", "{goods_id}", "421").Replace(route.pattern)
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			rec := b.do(t, httptest.NewRequest(method, target, strings.NewReader("x")))
			if rec.Code != 405 || rec.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: status is %d, Allow is %q", method, target, rec.Code, rec.Header().Get("Allow"))
			}
		}
	}
	if rec := b.do(t, httptest.NewRequest("HEAD", "/v1/stock/421", nil)); rec.Code != 200 {
		t.Errorf("HEAD: status is %d, want 200", rec.Code)
	}
}

func TestPprofIsOnlyThereWhenAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if rec := b.get(t, "/debug/pprof/"); rec.Code != 404 {
		t.Errorf("without the flag: status is %d, want 404", rec.Code)
	}
	b.cfg.Pprof = true
	for target, want := range map[string]int{
		"/debug/pprof/":                  200,
		"/debug/pprof/goroutine?debug=1": 200,
		"/debug/pprof/cmdline":           404, // flags may hold secrets
	} {
		if rec := b.get(t, target); rec.Code != want {
			t.Errorf("%s: status is %d, want %d", target, rec.Code, want)
		}
	}
	if rec := b.get(t, "/nowhere"); strings.Contains(rec.Body.String(), "pprof") {
		t.Error("pprof is listed among the routes")
	}
}
