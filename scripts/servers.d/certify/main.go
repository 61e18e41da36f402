// Command certify makes the certificates of the servers that scripts/servers
// starts, in the folder that is its argument.
package main

import (
	"fmt"
	"os"

	"orderconsumer/internal/authority"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: certify FOLDER")
		os.Exit(2)
	}
	err := authority.Write(os.Args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "certify: %v\n", err)
		os.Exit(1)
	}
}
