package app

import (
	"errors"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
)

// ReplayDeed says whether a plan is carried out, and what is kept about it.
type ReplayDeed struct {
	Execute     bool   `help:"Do it. Without it nothing is published and nothing is written."`
	Reason      string `env:"REPLAY_REASON" help:"Why; kept with the replay. Needed to execute."`
	Who         string `env:"REPLAY_WHO" help:"Who; kept with the replay. Default: the user and the machine."`
	MaxMessages int64  `env:"REPLAY_MAX_MESSAGES" default:"0" help:"Most messages that are published; 0 for all."`
	MaxReplays  int    `env:"REPLAY_MAX_REPLAYS" default:"3" help:"How often one message may be replayed in all."`
	GoodsShown  int    `default:"20" help:"Most goods that are listed for a person; -o json and -o jsonl list all."`
	TempFolder  string `type:"path" env:"REPLAY_TEMP_FOLDER" help:"Folder for the files of the simulation, about 100 bytes for each message; the system's if it is left out."`
}

// check refuses what makes no sense.
func (d *ReplayDeed) check() error {
	switch {
	case d.Execute && d.Reason == "":
		return &cli.Failure{Code: cli.ExitUsage, Err: errors.New("a replay needs a reason, which is kept with it"), Try: "--reason 'database restored from the dump of 12:00'"}
	case d.MaxMessages < 0:
		return cli.Usage("--max-messages is %d, must be at least 0", d.MaxMessages)
	case d.MaxReplays < 1 || d.MaxReplays > order.MaxReplays:
		return cli.Usage("--max-replays is %d, must be 1..%d", d.MaxReplays, order.MaxReplays)
	}
	return nil
}
