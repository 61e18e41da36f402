package lock

import (
	"context"
	"errors"
	"fmt"
	"time"

	redsyncredis "github.com/go-redsync/redsync/v4/redis"
)

// The digests of the two scripts redsync releases and extends with. They tell
// what is asked for; the script that runs is ours. Any other script, such as
// the one of SetNXOnExtend, is refused.
const (
	redsyncRelease = "e950836ed1e694540c503ef9972b8de518044d3b"
	redsyncExtend  = "d75bb8b5bd13532ddedd17762e772346e39b321e"
)

var (
	// errUnsupported: redsync asked for something that a set of keys cannot do.
	errUnsupported = errors.New("operation not supported on a set of names")

	// errNotHeld: the server never granted the set. It is an error, not the
	// answer "another's", because redsync would count that as a lost lock.
	errNotHeld = errors.New("set not granted by this server")
)

// setPool stands for one set of keys on one server. It is the redis.Pool, and
// as setConn the redis.Conn, that redsync uses in place of a single key: the
// mutex's name is only a label. redsync runs one operation at a time, in a
// goroutine for each server, and waits for all of them (FailFast is never
// used); so no field needs a lock, and the Locker may read them once an
// operation has returned.
type setPool struct {
	node *node
	keys []string
	call call
	ctx  context.Context //nolint:containedctx // redsync's Conn takes none: Get leaves it here for one operation

	held  bool  // the server answered that the whole set is ours
	first int64 // position, from one, of the key that the last try found taken
	err   error // why the last try got no answer
}

// Get returns the set for one operation under ctx.
func (p *setPool) Get(ctx context.Context) (redsyncredis.Conn, error) {
	p.ctx = ctx
	return (*setConn)(p), nil
}

// taken reports whether the key that stood in the way is still there.
func (p *setPool) taken(ctx context.Context) (bool, error) {
	return p.node.taken(ctx, p.keys[p.first-1])
}

// setConn is a setPool during an operation. It is a type of its own because
// both of redsync's interfaces have a method Get.
type setConn setPool

// SetNX acquires the set.
func (c *setConn) SetNX(_, value string, expiry time.Duration) (bool, error) {
	left := leftover{keys: c.keys, value: value}
	c.first, c.err = c.node.run(c.ctx, c.node.scripts.acquire, c.call, left, value, expiry.Milliseconds())
	c.held = c.err == nil && c.first == acquired
	return c.held, c.err
}

// Eval releases or extends the set.
func (c *setConn) Eval(s *redsyncredis.Script, keysAndArgs ...any) (any, error) {
	var value string // after the name, which stands for our keys
	if len(keysAndArgs) > 1 {
		value, _ = keysAndArgs[1].(string)
	}
	var expiry int
	if len(keysAndArgs) > 2 {
		expiry, _ = keysAndArgs[2].(int)
	}
	switch {
	case s.Hash == redsyncRelease && value != "":
		return c.release(value)
	case s.Hash == redsyncExtend && value != "" && expiry > 0:
		return c.extend(value, expiry)
	default:
		return nil, fmt.Errorf("script %s: %w", s.Hash, errUnsupported)
	}
}

// release gives the set back where it is held. Where it was found taken there
// is nothing to give back, which saves the round trip redsync would make after
// each failed try; where the try's outcome is unknown the node sees to it. If
// the server cannot be reached now, the node releases the set once it can be.
func (c *setConn) release(value string) (any, error) {
	if !c.held {
		return nil, errNotHeld
	}
	c.held = false
	left := leftover{keys: c.keys, value: value}
	if err := c.node.abandon(left); err != nil {
		return nil, err
	}
	return reply(c.node.runAnyway(c.ctx, c.node.scripts.release, c.call, left, value))
}

// extend is tried even if another operation has just found the server down:
// what would be lost in haste is a whole batch's work.
func (c *setConn) extend(value string, expiry int) (any, error) {
	if !c.held {
		return nil, errNotHeld
	}
	return reply(c.node.runAnyway(c.ctx, c.node.scripts.extend, c.call, leftover{}, value, expiry))
}

// reply makes a script's answer one of redsync's.
func reply(answer int64, err error) (any, error) { return answer, err }

// Close ends the operation.
func (c *setConn) Close() error { return nil }

// Get is for Mutex.Valid, which is not used.
func (c *setConn) Get(string) (string, error) { return "", errUnsupported }

// Set is not used by a Mutex.
func (c *setConn) Set(string, string) (bool, error) { return false, errUnsupported }

// ScriptLoad is not needed: scripts are loaded by being used.
func (c *setConn) ScriptLoad(*redsyncredis.Script) error { return errUnsupported }

// PTTL is not used by a Mutex.
func (c *setConn) PTTL(string) (time.Duration, error) { return 0, errUnsupported }
