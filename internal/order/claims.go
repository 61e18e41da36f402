package order

// claims are the keys that messages skipped in one walk keep from those
// behind them.
type claims struct {
	orders map[string]struct{}
	goods  map[string]struct{}
}

func (c *claims) order(t *task) {
	if c.orders == nil {
		c.orders = make(map[string]struct{})
	}
	c.orders[t.event.OrderID] = struct{}{}
}

func (c *claims) goodsOf(t *task) {
	if c.goods == nil {
		c.goods = make(map[string]struct{})
	}
	for i := range t.event.Lines {
		c.goods[t.event.Lines[i].Goods] = struct{}{}
	}
}

func (c *claims) hasOrder(id string) bool {
	_, ok := c.orders[id]
	return ok
}

func (c *claims) hasGoods(id string) bool {
	_, ok := c.goods[id]
	return ok
}
