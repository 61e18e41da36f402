package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"orderconsumer/internal/stock"
)

// maxGoods bounds one multi-get: a long shopping list, and a query that the
// database answers by point look-ups.
const maxGoods = 200

// goodsParameter is the one parameter of the multi-get.
const goodsParameter = "goods_id"

// levelAnswer is the level of one goods as it is shown.
type levelAnswer struct {
	GoodsID   string `json:"goods_id"`
	Available int64  `json:"available"`
	UpdatedAt string `json:"updated_at"`
}

// levelsAnswer is the answer to a multi-get. Each goods asked for is in one of
// the two, in the order asked.
type levelsAnswer struct {
	Stock   []levelAnswer `json:"stock"`
	Unknown []string      `json:"unknown"`
}

// getLevel answers GET /v1/stock/{goods_id}.
func (s *Server) getLevel(w http.ResponseWriter, r *http.Request) error {
	goods := r.PathValue("goods_id")
	if err := checkID("goods_id", goods); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.LookupTimeout)
	defer cancel()
	levels, age, err := s.deps.Levels.Levels(ctx, []string{goods})
	if err != nil {
		return fmt.Errorf("read level of goods %q: %w", goods, err)
	}
	level, known := levels[goods]
	if !known {
		return newProblem(http.StatusNotFound, "goods_unknown", fmt.Sprintf("no goods %q is in the catalogue", goods))
	}
	return writeAged(w, r, newLevelAnswer(level), age)
}

// getLevels answers GET /v1/stock?goods_id=...&goods_id=...
func (s *Server) getLevels(w http.ResponseWriter, r *http.Request) error {
	goods, err := goodsAsked(r.URL.RawQuery)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.LookupTimeout)
	defer cancel()
	found, age, err := s.deps.Levels.Levels(ctx, goods)
	if err != nil {
		return fmt.Errorf("read levels of %d goods: %w", len(goods), err)
	}
	a := levelsAnswer{Stock: []levelAnswer{}, Unknown: []string{}}
	for _, id := range goods {
		if level, ok := found[id]; ok {
			a.Stock = append(a.Stock, newLevelAnswer(level))
		} else {
			a.Unknown = append(a.Unknown, id)
		}
	}
	return writeAged(w, r, a, age)
}

func newLevelAnswer(l stock.Level) levelAnswer {
	return levelAnswer{GoodsID: l.Goods, Available: l.Available, UpdatedAt: instant(l.UpdatedAt)}
}

// goodsAsked returns the distinct goods of a query, in order. A parameter that
// is not known is refused: a misspelt one would silently ask for less.
func goodsAsked(query string) ([]string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "query_invalid", "the query is malformed: "+err.Error())
	}
	for name := range values {
		if name != goodsParameter {
			return nil, newProblem(http.StatusBadRequest, "parameter_unknown",
				fmt.Sprintf("there is no parameter %.64q, only %s", name, goodsParameter))
		}
	}
	asked := values[goodsParameter]
	switch {
	case len(asked) == 0:
		return nil, newProblem(http.StatusBadRequest, "goods_missing",
			"name the goods as "+goodsParameter+"=..., once for each")
	case len(asked) > maxGoods:
		return nil, newProblem(http.StatusBadRequest, "goods_too_many",
			fmt.Sprintf("%d goods are asked for, at most %d are answered at once", len(asked), maxGoods))
	}
	distinct := make([]string, 0, len(asked))
	seen := make(map[string]bool, len(asked))
	for _, id := range asked {
		if err := checkID(goodsParameter, id); err != nil {
			return nil, err
		}
		if !seen[id] {
			seen[id] = true
			distinct = append(distinct, id)
		}
	}
	return distinct, nil
}
