// Package sim runs whole consumers in virtual time, breaks everything around
// them, and holds what came out against the promise.
//
// One seed decides one world: settings, orders, and what goes wrong and when.
// The consumers are the real ones, kafka-go, redsync and go-redis included; only
// the servers are not. Kafka is kfake on a network in memory, Redis is
// miniredis, the database is the model ledger that the conformance suite holds
// equal to MySQL. A world lives in a bubble of testing/synctest: its clock
// stands still while anybody works and jumps when everybody waits, so minutes
// of outages take a fraction of a second.
//
// What is not repeated exactly from a seed is the order in which the runtime
// runs goroutines that are ready at the same instant. docs/simulator.md says what
// is modelled and what is not.
package sim
