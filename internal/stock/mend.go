package stock

// MovementsOf are the deductions and releases that the order must have, by goods
// and kind: its lines taken once, and given back once if it is released. A record
// that is nil, an order that is not there, must have none. Balance and At are not
// set.
func MovementsOf(record *Record) []Movement {
	if record == nil || record.State != Deducted && record.State != Released {
		return nil
	}
	movements := make([]Movement, 0, 2*len(record.Lines))
	for _, line := range record.Lines {
		movements = append(movements, Movement{Ref: record.Order, Goods: line.Goods, Kind: KindDeduct, Delta: -line.Num})
		if record.State == Released {
			movements = append(movements, Movement{Ref: record.Order, Goods: line.Goods, Kind: KindRelease, Delta: line.Num})
		}
	}
	return movements
}
