package publish

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

func TestPublishCSV(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		text   string
		orders map[string][]stock.Line
		failed string
		said   []string
	}{
		{
			name:   "lines that stand together are one order",
			text:   "A-1,421,2\nA-1,422,1\nA-2,421,5\n",
			orders: map[string][]stock.Line{"A-1": {{Goods: "421", Num: 2}, {Goods: "422", Num: 1}}, "A-2": {{Goods: "421", Num: 5}}},
		},
		{
			name:   "a header line may name the columns in another order, beside others",
			text:   cli.ByteOrderMark + "num,Goods_ID,comment,ORDER_ID\r\n2,421,\"a, b\",A-1\r\n\r\n1,422,,A-1",
			orders: map[string][]stock.Line{"A-1": {{Goods: "421", Num: 2}, {Goods: "422", Num: 1}}},
		},
		{
			name:   "the same goods twice is summed, blanks and quotes are no part of an id",
			text:   "A-1, 421 ,2\n\"A-1\",\"421\",\"3\"\n",
			orders: map[string][]stock.Line{"A-1": {{Goods: "421", Num: 5}}},
		},
		{
			name:   "an order with a line that is wrong is not published by halves",
			text:   "order_id,goods_id,num\nA-1,421,2\nA-1,422,many\nA-1,423,1\nA-2,421,1\n",
			orders: map[string][]stock.Line{"A-2": {{Goods: "421", Num: 1}}},
			failed: "order_id,goods_id,num\nA-1,421,2\nA-1,422,many\nA-1,423,1\n",
			said:   []string{`line 3: num is (masked), want 1..1000000000 (the order begins in line 2)`, "failed 1 (1 invalid"},
		},
		{
			name:   "nor one beside a line that cannot be read",
			text:   "A-1,421,2\n,422,1\nA-2,421,1\n\"A-3\n",
			orders: map[string][]stock.Line{},
			failed: "A-1,421,2\n,422,1\nA-2,421,1\n\"A-3\n",
			said:   []string{"line 2: no order_id (the order begins in line 1)", "line 4: no CSV"},
		},
		{
			name:   "what breaks the contract is said in its words",
			text:   "A-1,421,0\nA-2,421\nA-3,421,1000000001\n" + strings.Repeat("x", 65) + ",421,1\n",
			orders: map[string][]stock.Line{},
			failed: "A-1,421,0\nA-2,421\nA-3,421,1000000001\n" + strings.Repeat("x", 65) + ",421,1\n",
			said: []string{
				"line 1: schema_invalid at /items/0/num: got (masked)", "line 2: 2 columns, want order_id,goods_id,num",
				"line 3: schema_invalid at /items/0/num", "line 4: schema_invalid at /order_id",
			},
		},
		{
			name:   "an order that comes back later is refused",
			text:   "A-1,421,2\nA-2,421,1\nA-1,422,1\nA-1,423,1\n",
			orders: map[string][]stock.Line{"A-1": {{Goods: "421", Num: 2}}, "A-2": {{Goods: "421", Num: 1}}},
			failed: "A-1,422,1\nA-1,423,1\n",
			said: []string{`line 3: order "A-1" was published without this line and is incomplete`, "same id would be a conflict", "failed 1 ",
				"try: cancel the incomplete orders"},
		},
		{
			name:   "nor are the later lines of an order that was refused taken for all of it",
			text:   "A-1,421,x\nA-2,421,1\nA-1,422,1\nA-2,422,1\n",
			orders: map[string][]stock.Line{"A-2": {{Goods: "421", Num: 1}}},
			failed: "A-1,421,x\nA-1,422,1\nA-2,422,1\n",
			said: []string{
				`line 3: order "A-1" was refused further up`, `line 4: order "A-2" was published without`,
				"try: take the lines of the 1 incomplete orders out of ",
			},
		},
		{
			name:   "an order has no more lines than an event has items",
			text:   strings.Repeat("A-1,421,1\n", order.MaxItems+1) + "A-2,421,1\n" + strings.Repeat("A-3,421,1\n", order.MaxItems),
			orders: map[string][]stock.Line{"A-2": {{Goods: "421", Num: 1}}, "A-3": {{Goods: "421", Num: order.MaxItems}}},
			failed: strings.Repeat("A-1,421,1\n", order.MaxItems+1),
			said:   []string{"line 501: more than 500 lines of one order"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := newKiosk(t)
			code := cli.ExitOK
			if tt.failed != "" {
				code = cli.ExitFailed
			}
			k.call(tt.text, "publish").expect(t, code, tt.said...)
			orders := make(map[string][]stock.Line)
			for _, m := range k.published() {
				e, err := order.Decode(&m)
				if err != nil {
					t.Fatal(err)
				}
				orders[e.OrderID] = e.Lines
				id, err := uuid.Parse(e.ID)
				if err != nil || id.Version() != 7 || time.Since(e.OccurredAt).Abs() > time.Hour || string(m.Key) != e.OrderID {
					t.Errorf("key %q, event %+v, %v", m.Key, e, err)
				}
			}
			if diff := cmp.Diff(tt.orders, orders); diff != "" {
				t.Errorf("orders (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.failed, k.content(k.failures())); diff != "" {
				t.Errorf("failed file (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPublishCSVOfLongLines(t *testing.T) {
	t.Parallel()
	k := newKiosk(t)
	const header = "order_id,goods_id,num,note\n"
	// More than is read ahead, in one order.
	long := strings.Repeat("A-1,421,1,"+strings.Repeat("x", maxRowBytes*3/4)+"\n", order.MaxItems)
	tooLong := "A-2,421,1," + strings.Repeat("x", maxRowBytes) + "\n"
	k.call(header+long+tooLong, "publish").expect(t, cli.ExitFailed, "published 1 ", "line 502: more than 65536 bytes")
	if k.content(k.failures()) != header+tooLong {
		t.Error("the failed file does not hold the line that is too long")
	}
}

func TestPublishCSVNeedsEveryColumn(t *testing.T) {
	t.Parallel()
	k := newKiosk(t)
	k.call("order_id,goods\nA-1,421\n", "publish").expect(t, cli.ExitUsage, "the first line of - names no column goods_id")
	if n := len(k.published()); n != 0 {
		t.Errorf("%d messages were published", n)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ flag, file, first, want string }{
		{"auto", "orders.CSV", "{}", formatCSV},
		{"auto", "orders.ndjson", "A-1,1,1", formatJSONL},
		{"auto", "orders.txt", ` {"a":1}`, formatJSONL},
		{"auto", "-", "A-1,1,1", formatCSV},
		{"csv", "orders.jsonl", "{}", formatCSV},
		{"jsonl", "orders.csv", "A-1,1,1", formatJSONL},
	} {
		r := &eventReader{cmd: &Command{File: tt.file, Format: tt.flag}}
		err := r.settleFormat([]byte(tt.first))
		if err != nil || r.format != tt.want {
			t.Errorf("%+v: got %q, %v", tt, r.format, err)
		}
	}
}

func TestFailedFileIsNamedAfterItsInput(t *testing.T) {
	t.Parallel()
	var got []string
	for _, c := range []Command{
		{File: "-"}, {File: "a/orders.csv"}, {File: "-", Target: TargetSettings{FailedFile: "x"}},
	} {
		got = append(got, c.failedPath(formatCSV))
	}
	if want := []string{"publish.failed.csv", "a/orders.csv.failed.csv", "x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
