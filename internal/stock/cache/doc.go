// Package cache answers how much of a goods is available, many times a second,
// and asks the database as little as it can. It states the rules; what the
// entries are kept in is behind [Store] (package cache/redis), where they come
// from behind [Source] (the ledger). It knows no SQL, no Redis and no HTTP.
//
// # What is kept
//
// An [Entry] is one level as the database had it at one moment, and when that
// was. It is fresh for its lifetime, which is a little different for each entry;
// then it is stale for a grace, in which it may still be shown while somebody
// asks the database; then it is gone. So no answer is ever older than
// Config.TTL and Config.Stale together, whatever fails.
//
// # Who asks the database
//
// Questions that come at once for one goods are one question in this process
// (singleflight), and all the goods that miss are read by a bounded number of
// rebuilds, each for many goods at a time. A rebuild holds a lock on its goods
// that all instances share, looks into the store again once it has it, and reads
// only what nobody else has read meanwhile. Whoever cannot wait for it shows the
// stale entry, or is refused; nobody goes to the database past the bound.
// An entry that is asked for often is rebuilt shortly before it ends, so that it
// never does (see early).
//
// # What keeps it right
//
// A commit writes the levels it left over the entries there are (see
// [Cache.Changed]). Every level has a version that grows with each change of its
// row, and an entry is only ever replaced by one whose version is not lower. A
// rebuild announces itself before it reads the database and fills in only what
// still stands as it left it; so one that was slow, paused or whose lock was lost
// cannot put an old level where a newer one has been, or has been dropped.
package cache
