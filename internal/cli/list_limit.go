package cli

// ListLimit bounds what is shown of a list.
type ListLimit struct {
	Limit *int `help:"Show at most so many; 0 for all. If it is left out, all with -o json and -o jsonl, and as many as a person reads without."`
}

// Most is the bound; 0 means none. A program gets all unless it says otherwise: it
// would take what is cut off for absent.
func (l ListLimit) Most(o OutputSettings, person int) (int, error) {
	switch {
	case l.Limit == nil && o.Machine():
		return 0, nil
	case l.Limit == nil:
		return person, nil
	case *l.Limit < 0:
		return 0, Usage("--limit is %d, must be at least 0", *l.Limit)
	default:
		return *l.Limit, nil
	}
}
