// Package lock holds sets of names, all of a set or none of it, for one owner
// at a time. A name is whatever has to be excluded: the id of a goods, a job,
// a cache entry. The set is one redsync.Mutex: redsync keeps its rules (a
// random value, a quorum, a validity bound, release only what is ours) and
// talks through its small Pool and Conn interfaces, behind which this package
// runs one Lua script per operation over all keys of the set. One round trip
// locks hundreds of goods; a set is never held in part, so there is no
// hold-and-wait, no deadlock and nothing to give back in the right order.
//
// Each name is one plain key, Config.Prefix + name, set to the mutex's value
// with an expiry, exactly as redsync itself would set it. A service that locks
// the same key with ordinary redsync is excluded, and excludes us.
//
// # What it does not promise
//
// An expiring lock cannot keep two holders apart for certain: a process may be
// paused beyond the expiry, a Redis may come back empty. Whoever holds a Lease
// must stay right when it is lost. The lock keeps contention away from the
// database; the database's transaction keeps the stock right.
//
// # Waiting
//
// A waiter whose set is taken polls with EXISTS the single key that stood in
// its way, and only when that one is gone tries the whole set again. That is
// enough: while any one key is taken the set cannot be had, so looking at the
// others would tell nothing; the poll costs Redis the same for five hundred
// names as for one; and holders keep a set for some ten milliseconds, so a
// pause of 1 to 5 ms adds little to the wait. Waiters are not queued: whoever
// tries first after a release wins. What would replace the polling has its
// place: a release script that publishes wakes the waiters of exactly the
// names it deletes (waitFree is the only code that waits), and an owner that
// wants to keep its set for the next batch keeps its Lease, which extends
// itself, until it is asked for it.
//
// # A Redis that fails
//
// A server whose connection fails or times out is set aside: operations on it
// fail at once instead of one timeout each, a background probe takes it back as
// soon as it answers, and whatever an operation of unknown outcome may have
// left there is deleted first. So a quorum with one dead server keeps its
// speed, and a lone dead Redis is answered with ErrUnavailable immediately
// after the first time.
package lock
