package app

import (
	"testing"

	"orderconsumer/internal/instance"
	"orderconsumer/internal/settings"
)

func TestOpenFilesAreHeldAgainstWhatIsWanted(t *testing.T) {
	t.Parallel()
	s, err := settings.DefaultConsumer()
	if err != nil {
		t.Fatal(err)
	}
	wanted := s.FilesWanted()
	for limit, want := range map[uint64]status{12: statusFail, 23: statusFail, 24: statusWarn, 40: statusWarn, 128: statusOK, 1 << 63: statusOK} {
		got := filesFinding(limit, wanted)
		if got.Status != want || (got.Fix == "") != (want == statusOK) {
			t.Errorf("%d files: %s, want %s", limit, got, want)
		}
	}
	if limit, known := instance.OpenFilesLimit(); known && limit == 0 {
		t.Error("no file may be open, and this is one")
	}
}
