//go:build !unix

package app

// openFilesLimit is not known here.
func openFilesLimit() (limit uint64, known bool) { return 0, false }
