package replay

import "slices"

// Class says what would become of one message if it were published again. The
// words are stable.
type Class string

const (
	// AlreadyApplied: the database knows the order, with this content.
	AlreadyApplied Class = "already_applied"
	// AlreadyRejected: the order was rejected, and stays so.
	AlreadyRejected Class = "already_rejected"
	// Repeated: an earlier message of the selection has settled it.
	Repeated Class = "repeated"
	// WillDeduct: the order is not known and everything it wants is there.
	WillDeduct Class = "will_deduct"
	// WillReject: the order is not known and something it wants is short.
	WillReject Class = "would_be_rejected"
	// WillRelease: what the order took is given back.
	WillRelease Class = "will_release"
	// WillVoid: a cancel of an order that is not known. The order will take nothing
	// when it comes.
	WillVoid Class = "will_void"
	// GoodsUnknown: the order wants goods that are not in the catalogue.
	GoodsUnknown Class = "goods_unknown"

	// Conflict: the order is known with other content.
	Conflict Class = "conflict"
	// TooOld: the message is from before the dedup horizon. Its order may have been
	// applied and forgotten.
	TooOld Class = "too_old"
	// Undecodable: the message is no order event.
	Undecodable Class = "undecodable"
	// Incomplete: the message is the beginning of one that was too large to be
	// dead-lettered whole.
	Incomplete Class = "incomplete"
	// TooLarge: with the headers of a replay it would be larger than a retry topic
	// takes.
	TooLarge Class = "too_large"
	// HeldBack: a cancel whose order waits elsewhere: it must not overtake it.
	HeldBack Class = "held_back"
	// Exhausted: the message has been replayed as often as is allowed.
	Exhausted Class = "replayed_too_often"
	// Unneeded: it changes nothing, and only changes were asked for.
	Unneeded Class = "unneeded"
)

// classes is what there is to say about each class, in the order of the plan.
var classes = []struct {
	class     Class
	meaning   string
	published bool
}{
	{AlreadyApplied, "already applied: no effect", true},
	{AlreadyRejected, "already rejected, stays so: no effect", true},
	{Repeated, "settled by an earlier one of these: no effect", true},
	{WillDeduct, "will deduct", true},
	{WillRelease, "will release what its order took", true},
	{WillReject, "would be rejected", true},
	{WillVoid, "cancel of an order that is not known: will void it", true},
	{GoodsUnknown, "goods not in the catalogue: would wait in the retry tiers, then be dead", true},
	{Conflict, "conflict: same order, other content: not published", false},
	{TooOld, "older than the dedup horizon: refused", false},
	{Undecodable, "undecodable: not published", false},
	{Incomplete, "only the beginning of the message is here: not published", false},
	{TooLarge, "too large for a retry topic: not published", false},
	{HeldBack, "cancel whose order waits elsewhere: held back", false},
	{Exhausted, "replayed too often already: refused", false},
	{Unneeded, "changes nothing: left out", false},
}

// Meaning is the class in words.
func (c Class) Meaning() string {
	for _, known := range classes {
		if known.class == c {
			return known.meaning
		}
	}
	return string(c)
}

// Published is true for a class whose messages are published.
func (c Class) Published() bool {
	for _, known := range classes {
		if known.class == c {
			return known.published
		}
	}
	return false
}

// effectless are the classes that change no row.
func (c Class) effectless() bool {
	return slices.Contains([]Class{AlreadyApplied, AlreadyRejected, Repeated}, c)
}
