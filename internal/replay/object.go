package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// State is where a replay stands.
type State string

const (
	// Running: somebody works on it, or has died over it.
	Running State = "running"
	// Stopped: by a signal, by its ramp, or by an error. It can be resumed.
	Stopped State = "stopped"
	// Cancelled for good. What was published stays published.
	Cancelled State = "cancelled"
	// Done to its end.
	Done State = "done"
)

// Kinds of replays.
const (
	// KindReplay publishes a part of a topic again.
	KindReplay = "replay"
	// KindRedrive brings dead letters back.
	KindRedrive = "redrive"
)

// Object is a replay as the database keeps it.
type Object struct {
	ID   string
	Kind string
	// Ranges are the frozen selection: what two replays must not share.
	Ranges []Range
	// Spec is everything else that a resumed replay has to know, as its kind writes
	// it.
	Spec json.RawMessage
	// Reason is why, Who ordered it.
	Reason, Who string
	CreatedAt   time.Time
	State       State
	Progress    Progress
	// Note says why it stopped, or how it ended; may be empty.
	Note string
	// Holder is the process that works on it or did last. Fence is its number: it
	// grows with each holder, and only the newest one can record anything.
	Holder string
	Fence  int64
	// Silent is for how long the holder has recorded nothing, by the database's
	// clock.
	Silent time.Duration
}

// Lease is how long a holder may be silent before it is taken for dead. It
// records something several times in that time.
const Lease = 20 * time.Second

// Interrupted is true for a running replay whose holder has died.
func (o *Object) Interrupted() bool { return o.State == Running && o.Silent > Lease }

// Progress is how far a replay has come. Everything a resumed one goes on from is
// in it.
type Progress struct {
	// Positions are behind the last message that was confirmed or passed over.
	Positions Positions `json:"positions"`
	// Total is how many messages the plan would publish.
	Total int64 `json:"total"`
	// PlannedHeldBack is how many cancels the plan would hold back; nil when nobody has
	// said.
	PlannedHeldBack *int64 `json:"planned_held_back,omitempty"`
	// Published messages were confirmed by the log; Skipped, by class, were not
	// published.
	Published int64           `json:"published"`
	Skipped   map[Class]int64 `json:"skipped,omitempty"`
	// Stage is the part of the ramp under way, from 0, and InStage how many of its
	// messages are published.
	Stage   int   `json:"stage"`
	InStage int64 `json:"in_stage"`
	// Retried and Dead are messages of this replay that failed again: found in the
	// group's later tiers and among its dead letters. Looked is how far those have
	// been looked through.
	Retried int64     `json:"retried"`
	Dead    int64     `json:"dead"`
	Looked  Positions `json:"looked,omitempty"`
	// FailedBefore is Retried and Dead when the stage began.
	FailedBefore int64 `json:"failed_before"`
}

// FailedAgain is how many messages failed after they were published.
func (p *Progress) FailedAgain() int64 { return p.Retried + p.Dead }

// HeldBackUnplanned is how many more cancels were held back than the plan had said:
// their orders came to wait elsewhere meanwhile.
func (p *Progress) HeldBackUnplanned() int64 {
	if p.PlannedHeldBack == nil {
		return 0
	}
	return max(0, p.Skipped[HeldBack]-*p.PlannedHeldBack)
}

// Store keeps replays. Its errors about a replay wrap those below; all others are
// the database's.
type Store interface {
	// Begin records a new replay and makes holder its holder. It fails with a
	// *SharedError while another replay that is running has a message in common.
	Begin(ctx context.Context, o Object, holder string) (Object, error)
	// Resume makes holder the holder of a replay that is stopped, or whose holder
	// has died. It fails with ErrHeld, ErrEnded, ErrNoReplay or a *SharedError.
	Resume(ctx context.Context, id, holder string) (Object, error)
	// Save records progress. It fails with ErrLost when the replay is no longer
	// the holder's: cancelled, or taken over.
	Save(ctx context.Context, o *Object) error
	// End records the last progress, state and note, and lets the replay go. It
	// fails as Save does.
	End(ctx context.Context, o *Object) error
	// Cancel ends a replay for good, whoever holds it. It fails with ErrEnded or
	// ErrNoReplay.
	Cancel(ctx context.Context, id, note string) (Object, error)
	// Get returns one replay, or ErrNoReplay.
	Get(ctx context.Context, id string) (Object, error)
	// List returns up to limit replays, the newest first: the greatest id. Those behind
	// before, or from the first on if it is empty.
	List(ctx context.Context, before string, limit int) ([]Object, error)
}

// Errors of a Store.
var (
	ErrNoReplay = errors.New("no such replay")
	ErrEnded    = errors.New("the replay has ended")
	ErrHeld     = errors.New("the replay is being worked on")
	ErrLost     = errors.New("the replay was cancelled or taken over")
)

// SharedError refuses a replay that has messages in common with one that is
// running.
type SharedError struct {
	Other        Object
	Mine, Theirs Range
}

// Error names the other replay and what both want.
func (e *SharedError) Error() string {
	return fmt.Sprintf("replay %s has %s and this one %s: the same messages are not replayed twice at once", e.Other.ID, e.Theirs, e.Mine)
}
