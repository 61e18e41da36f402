// Command consumer takes orders from Kafka and deducts them from the stock. It
// also carries out what belongs to that: migrations, stock levels, the audit of
// the database, and the examination of everything a consumer needs.
package main

import (
	"os"

	"orderconsumer/internal/app"
)

func main() {
	os.Exit(app.Consumer(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
