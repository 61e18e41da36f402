package cli

import "os"

// HostName is this machine, for records and for people.
func HostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}
