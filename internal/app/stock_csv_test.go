package app

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/stock"
)

func TestReadLevels(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		text string
		mode stock.Mode
		want []stock.Line
		err  string
	}{
		{name: "lines", text: "apple,5\npear,0\n", want: []stock.Line{{Goods: "apple", Num: 5}, {Goods: "pear"}}},
		{name: "no end of line at the end", text: "apple,5", want: []stock.Line{{Goods: "apple", Num: 5}}},
		{name: "a header", text: "goods_id,num\napple,5\n", want: []stock.Line{{Goods: "apple", Num: 5}}},
		{name: "a header, as a spreadsheet writes it", text: "\xef\xbb\xbfGOODS_ID,Num\r\napple,5\r\n", want: []stock.Line{{Goods: "apple", Num: 5}}},
		{name: "goods that are numbers", text: "0421,5\n421,6\n", want: []stock.Line{{Goods: "0421", Num: 5}, {Goods: "421", Num: 6}}},
		{name: "empty lines", text: "\napple,5\n\n", want: []stock.Line{{Goods: "apple", Num: 5}}},
		{name: "quotes", text: "\"a \"\"b\"\", c\",5\n", want: []stock.Line{{Goods: `a "b", c`, Num: 5}}},
		{name: "the largest", text: "apple,9007199254740991\n", want: []stock.Line{{Goods: "apple", Num: stock.MaxAvailable}}},
		{name: "nothing"},

		{name: "a header in the middle", text: "apple,5\ngoods_id,num\n", err: `line 2: num "num": want a whole number from 0 to 9007199254740991`},
		{name: "more than the largest", text: "apple,9007199254740992\n", err: `line 1: num "9007199254740992": want`},
		{name: "less than nothing", text: "apple,-1\n", err: `line 1: num "-1": want`},
		{name: "a fraction", text: "apple,1.5\n", err: `line 1: num "1.5": want`},
		{name: "nothing to add", mode: stock.Add, text: "apple,0\n", err: `line 1: num "0": want a whole number from 1`},
		{name: "no number", text: "apple,\n", err: `line 1: num ""`},
		{name: "no goods", text: ",5\n", err: "line 1: goods id is empty"},
		{name: "white space around an id", text: "apple ,5\n", err: `line 1: goods id "apple " has white space around it`},
		{name: "a long id", text: strings.Repeat("a", 65) + ",5\n", err: "line 1: goods id of 65 bytes, the most is 64"},
		{name: "an id that is not UTF-8", text: "\xff,5\n", err: `line 1: goods id "\xff" is not UTF-8`},
		{name: "a column too few", text: "apple\n", err: "line 1: 1 column, want goods_id,num"},
		{name: "a column too many", text: "apple,5\npear,5,6\n", err: "line 2: 3 columns, want goods_id,num"},
		{name: "the same goods twice", text: "apple,5\n\npear,1\napple,6\n", err: `line 4: goods "apple" stands on line 1 already`},
		{name: "a quote that is not closed", text: "apple,5\n\"pear,5\n", err: "line 2: extraneous or missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mode := tt.mode
			if mode == 0 {
				mode = stock.Set
			}
			got, err := readLevels(strings.NewReader(tt.text), mode)
			if tt.err == "" {
				if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
					t.Errorf("error %v, lines (-want +got):\n%s", err, diff)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %s", err, tt.err)
			}
		})
	}
}

func TestReadLevelsTellsAllMistakes(t *testing.T) {
	t.Parallel()
	t.Run("some", func(t *testing.T) {
		t.Parallel()
		_, err := readLevels(strings.NewReader("apple,x\npear,1\n,2\n"), stock.Set)
		want := "2 mistakes\nline 1: num \"x\": want a whole number from 0 to 9007199254740991\nline 3: goods id is empty"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
	t.Run("so many that nobody would read them", func(t *testing.T) {
		t.Parallel()
		var text strings.Builder
		for n := range 1000 {
			fmt.Fprintf(&text, "g%d,x\n", n)
		}
		_, err := readLevels(strings.NewReader(text.String()), stock.Set)
		if err == nil || !strings.HasPrefix(err.Error(), "1000 mistakes\nline 1: ") || !strings.HasSuffix(err.Error(), "\nline 20: num \"x\": want a whole number from 0 to 9007199254740991\nand 980 more") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a file that cannot be read to its end", func(t *testing.T) {
		t.Parallel()
		broken := errors.New("disk on fire")
		_, err := readLevels(io.MultiReader(strings.NewReader("apple,1\n"), iotest.ErrReader(broken)), stock.Set)
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWordsAreSafeToPaste(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"apple": "apple", "a-1.2_3": "a-1.2_3", "a b": "'a b'", "": "''", "it's": `'it'\''s'`, "$(rm)": "'$(rm)'", "\u00e4": "'\u00e4'",
	} {
		if got := cli.Word(arg); got != want {
			t.Errorf("word(%q) is %s, want %s", arg, got, want)
		}
	}
}
