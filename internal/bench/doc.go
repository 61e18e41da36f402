// Package bench measures the consumer against the well-known ways of doing its
// work and against the database alone, on real servers, in one run.
//
// Every measurement is a process of its own (child.go), so that no way is
// slowed down by what another has left in memory, and so that its processor
// time and its memory can be read off the process. The parent (world.go) makes
// the topic and the database, starts the process, audits what it left, and
// removes everything; the rows (rows.go) say what is measured, the report
// (report.go, goals.go) what came of it.
package bench
