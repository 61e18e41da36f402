package sqlite_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails when a closed ledger leaves something running.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
