package publish

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/workload"
)

// maxStockShare is more stock than anybody needs to try something.
const maxStockShare = 1000

// writeStock writes the first stock, and says what to do with it: an order for
// goods that are not in the stock yet waits in the retry tiers.
func (c *GenerateCommand) writeStock(s *cli.Session, expect workload.Expect) error {
	file, err := os.Create(c.StockFile)
	if err != nil {
		return cli.Usage("%w", err)
	}
	lines := expect.Stock(c.StockShare)
	err = errors.Join(stockCSV(file, lines), file.Close())
	if err != nil {
		return fmt.Errorf("write the stock of %d goods: %w", len(lines), err)
	}
	s.Say("%s: stock of %d goods for %.0f %% of the demand is in %s\n  try: consumer stock import %s",
		s.Name, len(lines), c.StockShare*100, c.StockFile, c.StockFile)
	return nil
}

// stockCSV writes goods_id,num with a header line.
func stockCSV(w io.Writer, lines []stock.Line) error {
	out := csv.NewWriter(w)
	rows := make([][]string, 0, len(lines)+1)
	rows = append(rows, []string{"goods_id", "num"})
	for _, line := range lines {
		rows = append(rows, []string{line.Goods, strconv.FormatInt(line.Num, 10)})
	}
	return out.WriteAll(rows)
}
