package ledger

import (
	"errors"

	"github.com/go-sql-driver/mysql"

	"orderconsumer/internal/stock"
)

// The servers' error numbers are grouped by what they say about the request.
// What is in no group is not known to be anybody else's fault: the caller runs
// the batch in parts and finds the order it belongs to.

// lockErrors: another transaction holds its rows.
var lockErrors = map[uint16]bool{
	1205: true, // lock wait timeout
	1213: true, // deadlock
	1614: true, // rolled back: deadlock
	1969: true, // MariaDB: max_statement_time exceeded, where it is below the lock wait
	3024: true, // MySQL: max_execution_time exceeded, the same
	3572: true, // NOWAIT did not get its lock
}

// busyErrors: the transaction lost against another one, or was told to stop.
// The same transaction may run again.
var busyErrors = map[uint16]bool{
	1062: true, // duplicate key: another instance decided the same order first
	1317: true, // query interrupted by KILL QUERY
	1412: true, // table definition changed under the snapshot
	1613: true, // rolled back: took too long
	3101: true, // rolled back by group replication
	3819: true, // MySQL: CHECK violated, by a writer that does not take our locks
	4025: true, // MariaDB: the same
}

// systemErrors: errors of smaller numbers are not about SQL. The server passes on what
// its operating system has refused it: to make, write or open a file, memory. A full disk
// is error 3 where a transaction needs a temporary file.
const systemErrors = 1000

// unavailableErrors: the server, or our account on it, cannot serve anybody.
var unavailableErrors = map[uint16]bool{
	1004: true, // cannot make a file
	1016: true, // cannot open a file
	1021: true, // disk full
	1023: true, // error closing a file
	1024: true, // error reading a file
	1026: true, // error writing a file
	1030: true, // error from the storage engine, which is how disk errors often arrive
	1036: true, // the table can only be read, as after an error of its disk
	1037: true, // out of memory
	1038: true, // out of sort memory
	1040: true, // too many connections
	1041: true, // out of resources
	1042: true, // cannot resolve our address
	1043: true, // bad handshake
	1044: true, // no access to the database
	1045: true, // wrong user or password
	1034: true, // MariaDB: index file broken, which is what a temporary table says of a full disk
	1046: true, // no database selected
	1049: true, // no such database
	1053: true, // shutting down
	1054: true, // unknown column: the migrations are behind or ahead
	1114: true, // table full, which is how InnoDB calls a full disk
	1129: true, // our address is blocked
	1130: true, // our address is not allowed
	1142: true, // no right to the table
	1143: true, // no right to the column
	1146: true, // no such table: not migrated
	1152: true, // connection aborted
	1158: true, // network: read error
	1159: true, // network: read timeout
	1160: true, // network: write error
	1161: true, // network: write timeout
	1180: true, // error during COMMIT
	1184: true, // new connection aborted
	1194: true, // table is marked as crashed
	1195: true, // table is crashed and its repair failed
	1203: true, // the user has too many connections
	1223: true, // a global read lock is held
	1226: true, // the user is over one of its limits
	1227: true, // access denied
	1290: true, // --read-only
	1534: true, // a row cannot be written to the binary log
	1598: true, // the binary log cannot be written; the server may end
	1637: true, // too many transactions at once
	1665: true, // statement-based binary log cannot record READ COMMITTED
	1698: true, // access denied (authentication plugin)
	1726: true, // storage engine not allowed
	1792: true, // read-only transaction
	1820: true, // the password must be changed first
	1836: true, // read-only mode
	1862: true, // password expired
	1874: true, // InnoDB is read-only
	1878: true, // temporary file: write failed
	1927: true, // MariaDB: connection was killed
	2002: true, // client-side numbers, as proxies report them
	2003: true,
	2006: true,
	2013: true,
	2055: true,
	3032: true, // offline mode
	3098: true, // the table breaks a rule of group replication
	3100: true, // group replication's hook failed
	3118: true, // account is locked
	3159: true, // TLS required
	3168: true, // server not available
	3169: true, // session was killed
	4031: true, // closed for inactivity
	9001: true, // ProxySQL: no server reached
}

// rolledBackAtCommit: answers to COMMIT that say that it did not happen.
var rolledBackAtCommit = map[uint16]bool{
	1205: true,
	1213: true,
	1613: true,
	1614: true,
	3101: true,
}

// packetTooLarge is filed under the connection's errors, but it is about the
// request: in parts it goes through.
const packetTooLarge = 1153

// sqlStateConnection is the standard's class of connection errors.
const sqlStateConnection = "08"

// sqlStateRolledBack is the standard's word for "serialization failure".
const sqlStateRolledBack = "40001"

// classifyMySQL is [Dialect.Classify] for MySQL and MariaDB.
func classifyMySQL(err error, committing bool) error {
	server, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		if !committing && driverGaveUp(err) {
			return stock.ErrUnavailable
		}
		return nil
	}
	rolledBack := string(server.SQLState[:]) == sqlStateRolledBack
	switch {
	case committing && (rolledBack || rolledBackAtCommit[server.Number]):
		return stock.ErrBusy
	case committing:
		return nil
	case rolledBack || lockErrors[server.Number]:
		return stock.ErrRowsLocked
	case busyErrors[server.Number]:
		return stock.ErrBusy
	case server.Number == packetTooLarge:
		return nil
	case server.Number < systemErrors || unavailableErrors[server.Number] || string(server.SQLState[:2]) == sqlStateConnection:
		return stock.ErrUnavailable
	}
	return nil
}

// driverGaveUp recognises the driver's own errors about its connection.
func driverGaveUp(err error) bool {
	for _, broken := range []error{mysql.ErrInvalidConn, mysql.ErrMalformPkt, mysql.ErrPktSync, mysql.ErrPktSyncMul, mysql.ErrBusyBuffer} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}
