package mutants

import (
	"os"
	"slices"
	"strings"
)

// layer is one set of tests, to be run after those that are cheaper.
type layer struct {
	name     string
	packages []string
	look     string // -run, if not empty
	real     bool   // on real servers
}

// What a layer is called in results.
const (
	unit        = "unit"        // the packages that the bug is in
	conformance = "conformance" // what every ledger promises, on SQLite
	system      = "system"      // consumers on servers inside the process
	servers     = "servers"     // the same on real servers
)

// serverVariables are what makes tests run on real servers.
var serverVariables = []string{"KAFKA_BROKERS", "REDIS_URL", "DATABASE_URL", "MARIADB_URL", "REQUIRE_SERVERS"}

const (
	app    = "./internal/app"
	ledger = "./internal/stock/ledger"
	sqlite = "./internal/stock/ledger/sqlite"
)

// programs are the packages whose tests run whole programs and what they are made of.
var programs = []string{"./internal/instance", "./internal/publish", app}

// layers are the tests that may notice a bug, the cheapest first.
func layers(b Bug) []layer {
	packages := b.packages()
	all := []layer{{name: unit, packages: packages}}
	if slices.ContainsFunc(packages, func(p string) bool { return strings.HasPrefix(p, "./internal/stock") }) {
		all = append(all, layer{name: conformance, packages: []string{sqlite}})
	}
	database := os.Getenv("DATABASE_URL") != ""
	if database && slices.Contains(packages, ledger) {
		all = append(all, layer{name: servers, packages: []string{ledger}, real: true})
	}
	if b.Look != "" {
		all = append(all, layer{name: system, packages: []string{app}, look: b.Look})
	}
	all = append(all, layer{name: system, packages: []string{"./contract"}}, layer{name: system, packages: programs})
	if hasServers() {
		all = append(all, layer{name: servers, packages: programs, look: b.Look, real: true})
	}
	return all
}

// hasServers reports whether all real servers are named.
func hasServers() bool {
	return os.Getenv("DATABASE_URL") != "" && os.Getenv("KAFKA_BROKERS") != "" && os.Getenv("REDIS_URL") != ""
}

// String is what of it is run.
func (l layer) String() string {
	return strings.TrimSpace(strings.Join(l.packages, " ") + " " + l.look)
}

// environment is what a layer runs in.
func (l layer) environment() []string {
	environment := slices.DeleteFunc(os.Environ(), func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return name == "REQUIRE_SERVERS" || !l.real && slices.Contains(serverVariables, name)
	})
	return environment
}

// arguments are those of the go command.
func (l layer) arguments(overlay string) []string {
	arguments := []string{"test", "-json", "-failfast", "-vet=off", "-ldflags=-w", "-timeout", limit.String()}
	if overlay != "" {
		arguments = append(arguments, "-overlay", overlay)
	}
	if l.look != "" {
		arguments = append(arguments, "-run", "^("+l.look+")$")
	}
	return append(arguments, l.packages...)
}
