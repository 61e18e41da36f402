package settings

import (
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// EnvironmentOf are settings as the environment of a program that has the same
// ones: secrets do not come into a list of processes that way. What is empty is
// a name without a value: the variable is to be taken away, so that
// what this process was given does not count. settings is a pointer to a struct
// of settings.
func EnvironmentOf(settings any) ([]string, error) {
	parser, err := kong.New(settings)
	if err != nil {
		return nil, fmt.Errorf("settings as an environment: %w", err)
	}
	var environment []string
	for _, flag := range parser.Model.Flags {
		for _, name := range flag.Tag.Envs {
			if value := environmentValue(flag.Target.Interface()); value != "" {
				name += "=" + value
			}
			environment = append(environment, name)
		}
	}
	return environment, nil
}

func environmentValue(value any) string {
	switch v := value.(type) {
	case []string:
		return strings.Join(v, ",")
	case []time.Duration:
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = v[i].String()
		}
		return strings.Join(texts, ",")
	default:
		return fmt.Sprint(v)
	}
}
