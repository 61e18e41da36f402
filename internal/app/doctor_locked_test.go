package app

import (
	"strings"
	"testing"

	"orderconsumer/internal/doctor"
)

// TestDoctorTakesNoLockedTableForAMissingRight: it passes, and a GRANT would change nothing.
func TestDoctorTakesNoLockedTableForAMissingRight(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	conn, err := behindTheBack(t, s.servers).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lock, unlock := "LOCK TABLES stock WRITE", "UNLOCK TABLES"
	if strings.HasPrefix(s.settings.Database.URL, "sqlite:") {
		lock, unlock = "BEGIN IMMEDIATE", "ROLLBACK"
	}
	if _, err := conn.ExecContext(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
	found := s.examine()
	if _, err := conn.ExecContext(t.Context(), unlock); err != nil {
		t.Fatal(err)
	}
	// SQLite lets nobody know what it waits for until it is given up.
	if f := found[doctor.CheckPrivileges]; f.Status == doctor.StatusOK || !strings.Contains(f.Fix, "find out who holds") || strings.Contains(f.Fix, "GRANT") {
		t.Errorf("while a table is locked: %s", f)
	}
	expect(t, s.examine(), doctor.CheckPrivileges, doctor.StatusOK, "levels locked", "")
}
