// Command producer publishes order events to Kafka: from a file, or made up.
package main

import (
	"os"

	"orderconsumer/internal/app"
)

func main() {
	os.Exit(app.Producer(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
