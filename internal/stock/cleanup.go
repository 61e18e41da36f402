package stock

import "time"

// CleanUp says which orders are to be removed.
type CleanUp struct {
	// Before: only orders whose last change was earlier.
	Before time.Time
	// Progress, when set, is called now and then with what was done so far.
	Progress func(CleanedUp)
}

// CleanedUp counts what a clean-up has done.
type CleanedUp struct {
	Looked    int64 `json:"looked_at"` // orders that were looked at
	Orders    int64 `json:"orders"`    // orders that were removed
	Movements int64 `json:"movements"` // and their movements
	// Kept are old orders that an audit would find something about: evidence is not
	// removed.
	Kept int64 `json:"kept"`
}
