package deploy

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCIForgetsTheSettingsOfItsCaller: a password or an address in somebody's shell
// must not decide what the tests run on.
func TestCIForgetsTheSettingsOfItsCaller(t *testing.T) {
	t.Parallel()
	function := first(t, `(?ms)^(forget_settings\(\) \{\n.*?^\})`, read(t, ".ci/run"))
	forgotten := []string{
		"KAFKA_BROKERS", "KAFKA_PASSWORD", "KAFKA_PASSWORD_FILE", "KAFKA_TLS_INSECURE", "REDIS_URL", "REDIS_PASSWORD", "CACHE_REDIS_URL",
		"CACHE_REDIS_PASSWORD", "DATABASE_URL", "DATABASE_PASSWORD", "DATABASE_CA_FILE", "MARIADB_URL", "SECURE_FOLDER", "SECURE_MARIADB_URL",
		"REQUIRE_SERVERS", "ORDER_TEST_CONSUMER", "ORDERS_TOPIC", "LOG_LEVEL", "HTTP_ADDR", "WORKERS",
	}
	kept := []string{"HTTPS_PROXY", "GOFLAGS", "XDG_CACHE_HOME", "ORDER_DEBIAN_MIRROR", "CC"}
	run := exec.Command("/bin/bash", "-euo", "pipefail", "-c", function+"\nforget_settings\ncompgen -e")
	run.Dir = root
	run.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	for _, name := range slices.Concat(forgotten, kept) {
		run.Env = append(run.Env, name+"=x")
	}
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	left := strings.Fields(string(out))
	for _, name := range forgotten {
		if slices.Contains(left, name) {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range kept {
		if !slices.Contains(left, name) {
			t.Errorf("%s, which is no setting of the programs, is gone", name)
		}
	}
	if called := regexp.MustCompile(`(?m)^forget_settings$`).FindStringIndex(read(t, ".ci/run")); called == nil {
		t.Error("nobody calls it")
	}
}

// TestThePublicWorkflowLooksForVulnerabilities: it needs the internet, so .ci/run
// does not.
func TestThePublicWorkflowLooksForVulnerabilities(t *testing.T) {
	t.Parallel()
	workflow := read(t, ".github/workflows/ci.yml")
	first(t, `(?m)^      - run: (go run golang\.org/x/vuln/cmd/govulncheck@v\d+\.\d+\.\d+ \./\.\.\.)$`, workflow)
	first(t, `(?m)^  schedule: \[\{cron: "([^"]+)"\}\]`, workflow)
}
