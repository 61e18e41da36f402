package doctor

import (
	"testing"

	"orderconsumer/internal/settings"
)

func TestOpenFilesAreHeldAgainstWhatIsWanted(t *testing.T) {
	t.Parallel()
	s, err := settings.DefaultConsumer()
	if err != nil {
		t.Fatal(err)
	}
	wanted := s.FilesWanted()
	for limit, want := range map[uint64]Status{12: StatusFail, 23: StatusFail, 24: StatusWarn, 40: StatusWarn, 128: StatusOK, 1 << 63: StatusOK} {
		got := filesFinding(limit, wanted)
		if got.Status != want || (got.Fix == "") != (want == StatusOK) {
			t.Errorf("%d files: %s, want %s", limit, got, want)
		}
	}
	if limit, known := settings.OpenFilesLimit(); known && limit == 0 {
		t.Error("no file may be open, and this is one")
	}
}
