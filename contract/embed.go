// Package contract carries the files that say what stands on the wire, so that
// a program can show them and tests can hold the code against them.
package contract

import "embed"

// Files holds order.schema.json, outcome.schema.json, asyncapi.yaml and
// README.md.
//
//go:embed order.schema.json outcome.schema.json asyncapi.yaml README.md
var Files embed.FS
