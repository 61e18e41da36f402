package lock

import (
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrTaken: someone else held one of the names until the context's deadline
	// had passed. The error is a *TakenError.
	ErrTaken = errors.New("lock taken by another")

	// ErrUnavailable: fewer servers than a quorum answered (unreachable, too
	// slow, loading, read-only, out of memory). Nothing is known about the names.
	ErrUnavailable = errors.New("lock servers unavailable")

	// ErrLost: the lease ended before it was unlocked. Someone else may have
	// held the names since.
	ErrLost = errors.New("lock lost")
)

// TakenError names what stood in the way of a set. It is ErrTaken.
type TakenError struct {
	// Name is the first name of the set that someone else was seen to hold.
	Name string
}

func (e *TakenError) Error() string { return fmt.Sprintf("%v: %q", ErrTaken, e.Name) }

// Is makes errors.Is(err, ErrTaken) true.
func (e *TakenError) Is(target error) bool { return target == ErrTaken }

// unavailable wraps what the servers that failed said. It keeps every cause
// reachable for errors.Is and the text on one line.
func unavailable(answered, servers int, causes []error) error {
	err := fmt.Errorf("%w: %d of %d answered", ErrUnavailable, answered, servers)
	for _, cause := range causes {
		err = fmt.Errorf("%w; %w", err, cause)
	}
	return err
}

// isReply reports that the server itself sent err. The connection works then
// and nothing is gained by trying again at once.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}
