package deploy

import (
	"os"
	"testing"
)

// TestMain forgets the environment: the tests ask the programs for their
// defaults, which a variable such as KAFKA_BROKERS would replace.
func TestMain(m *testing.M) {
	os.Clearenv()
	os.Exit(m.Run())
}
