package deploy

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// composeFile is what of a compose file this project uses. A member that is not
// here is refused, so that a misspelt one is noticed; one that is meant is added.
type composeFile struct {
	Name     string                `yaml:"name"`
	Services map[string]*service   `yaml:"services"`
	Volumes  map[string]*yaml.Node `yaml:"volumes"`
}

type service struct {
	Image         string                `yaml:"image"`
	Build         string                `yaml:"build"`
	Command       []string              `yaml:"command"`
	ContainerName string                `yaml:"container_name"`
	Ports         []port                `yaml:"ports"`
	Environment   map[string]string     `yaml:"environment"`
	Volumes       []string              `yaml:"volumes"`
	HealthCheck   *healthCheck          `yaml:"healthcheck"`
	DependsOn     map[string]dependency `yaml:"depends_on"`
	Restart       string                `yaml:"restart"`
	StopGrace     time.Duration         `yaml:"stop_grace_period"`
	User          string                `yaml:"user"`
	ReadOnly      bool                  `yaml:"read_only"`
	Privileged    bool                  `yaml:"privileged"`
	Tmpfs         []string              `yaml:"tmpfs"`
	CapAdd        []string              `yaml:"cap_add"`
	CapDrop       []string              `yaml:"cap_drop"`
	SecurityOpt   []string              `yaml:"security_opt"`
}

type healthCheck struct {
	Test          []string      `yaml:"test"`
	Disable       bool          `yaml:"disable"`
	StartPeriod   time.Duration `yaml:"start_period"`
	StartInterval time.Duration `yaml:"start_interval"`
	Interval      time.Duration `yaml:"interval"`
	Timeout       time.Duration `yaml:"timeout"`
	Retries       int           `yaml:"retries"`
}

type dependency struct {
	Condition string `yaml:"condition"`
}

// port is [[host address:]published port:]port of the container.
type port struct{ host, published, target string }

// UnmarshalYAML reads a port in the short syntax.
func (p *port) UnmarshalYAML(node *yaml.Node) error {
	var text string
	if err := node.Decode(&text); err != nil {
		return err
	}
	parts := strings.Split(text, ":")
	p.target = parts[len(parts)-1]
	if len(parts) > 1 {
		p.published = parts[len(parts)-2]
	}
	p.host = strings.Join(parts[:max(0, len(parts)-2)], ":") // an IPv6 address has colons of its own
	return nil
}

// load reads the compose file as `docker compose` would where no variable is
// set, and refuses what it would refuse.
func load(t *testing.T) composeFile {
	t.Helper()
	var file composeFile
	decoder := yaml.NewDecoder(strings.NewReader(interpolated(t, read(t, "docker-compose.yml"))))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatalf("docker-compose.yml does not load: %v", err)
	}
	for name, s := range file.Services {
		if s == nil || (s.Image == "") == (s.Build == "") {
			t.Fatalf("%s: want an image or a folder to build it from", name)
		}
		for _, volume := range s.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			if _, ok := file.Volumes[from]; !ok && !strings.HasPrefix(from, ".") && !strings.HasPrefix(from, "/") {
				t.Errorf("%s: volume %s is not declared", name, from)
			}
		}
		for other := range s.DependsOn {
			if file.Services[other] == nil {
				t.Errorf("%s depends on %s, which is no service", name, other)
			}
		}
	}
	return file
}

var variables = regexp.MustCompile(`\$(\$|\{\w+:?-([^{}$]*)\})?`)

// interpolated puts the default in the place of ${VARIABLE:-default}, and $ in
// that of $$. A variable without a default would be empty where nobody sets it.
func interpolated(t *testing.T, text string) string {
	t.Helper()
	return variables.ReplaceAllStringFunc(text, func(found string) string {
		switch found {
		case "$":
			t.Fatalf("docker-compose.yml has a $ that is neither $$ nor ${VARIABLE:-default}")
			return ""
		case "$$":
			return "$"
		default:
			return variables.FindStringSubmatch(found)[2]
		}
	})
}

func TestVariablesHaveTheirDefault(t *testing.T) {
	t.Parallel()
	const text = `image: "redis:${REDIS_VERSION:-7.0.15}", cost: 5$$, nothing: "${NONE:-}", unset: ${ONLY_UNSET-b}`
	const want = `image: "redis:7.0.15", cost: 5$, nothing: "", unset: b`
	if got := interpolated(t, text); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
