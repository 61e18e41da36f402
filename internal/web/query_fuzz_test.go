package web

import (
	"errors"
	"net/http"
	"testing"
)

// FuzzGoodsAsked holds that any query asks for goods that can exist, each once and
// not too many, or is the asker's mistake.
func FuzzGoodsAsked(f *testing.F) {
	for _, query := range []string{"goods_id=421&goods_id=422&goods_id=421", "", "goods=1", "goods_id=%zz", "goods_id=%ff", "goods_id=;", "goods_id=%00", "goods_id"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		asked, err := goodsAsked(query)
		if err != nil {
			if p, ok := errors.AsType[*problem](err); !ok || p.Status != http.StatusBadRequest || p.Code == "" {
				t.Errorf("%q is refused with %v", query, err)
			}
			return
		}
		seen := make(map[string]bool)
		for _, id := range asked {
			if checkID(goodsParameter, id) != nil || seen[id] {
				t.Errorf("%q asks for %q", query, id)
			}
			seen[id] = true
		}
		if len(asked) == 0 || len(asked) > maxGoods {
			t.Errorf("%q asks for %d goods", query, len(asked))
		}
	})
}
