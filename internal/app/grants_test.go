package app

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
)

// grantsPage is the page that says what to grant.
const grantsPage = "../../docs/security.md"

// granted is what the page has: statements for the database, commands of Redis,
// and argument lists of kafka-acls.sh, each in its order.
type granted struct {
	sql   [][]string // by block of the page: migrator, the others, the clean-up, the drill
	redis []string
	kafka [][]string
}

// readGrants reads the page.
func readGrants(t *testing.T) granted {
	t.Helper()
	page, err := os.ReadFile(grantsPage)
	if err != nil {
		t.Fatal(err)
	}
	var g granted
	_, chapter, ok := strings.Cut(string(page), "\n## What each user has to be granted\n")
	if !ok {
		t.Fatalf("%s has no chapter about grants", grantsPage)
	}
	for _, block := range regexp.MustCompile("(?s)```[a-z]*\n(.*?)```").FindAllStringSubmatch(chapter, -1) {
		var statements []string
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(line)
			switch {
			case line == "":
			case strings.HasPrefix(line, "CREATE USER "), strings.HasPrefix(line, "GRANT "):
				statements = append(statements, strings.TrimSuffix(line, ";"))
			case strings.HasPrefix(line, "ACL SETUSER "):
				g.redis = append(g.redis, line)
			case strings.HasPrefix(line, "kafka-acls.sh "):
				g.kafka = append(g.kafka, strings.Fields(line))
			default:
				t.Fatalf("%s: the test does not know what to do with %q", grantsPage, line)
			}
		}
		if len(statements) > 0 {
			g.sql = append(g.sql, statements)
		}
	}
	return g
}

// roles are the users of the page.
var roles = []string{"migrator", "consumer", "publisher", "operator", "driller"}

func TestThePageOfGrantsCanBeRead(t *testing.T) {
	t.Parallel()
	g := readGrants(t)
	if len(g.sql) != 4 || len(g.redis) != 2 || len(g.kafka) < 8 {
		t.Errorf("%d blocks for the database, %d commands of Redis, %d of Kafka", len(g.sql), len(g.redis), len(g.kafka))
	}
	whole := fmt.Sprint(g)
	for _, role := range roles {
		if !strings.Contains(whole, role) {
			t.Errorf("nothing is granted to %s", role)
		}
	}
	defaults, err := settings.DefaultConsumer()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		defaults.Lock.Prefix + "*", defaults.Cache.Prefix + "*", "--topic " + defaults.Group.Topic + " ", "--group " + defaults.Group.Group,
		"--topic " + defaults.Group.Topic + "." + defaults.Group.Group + ". ",
	} {
		if !strings.Contains(strings.ReplaceAll(whole, "]", " "), name) {
			t.Errorf("the page does not have the default %q", name)
		}
	}
}

// tenant is a test's users on real servers, each with what the page grants it.
type tenant struct {
	t         *testing.T
	servers   *testkit.Restricted
	page      granted
	names     map[string]string // of the users, by role
	passwords map[string]string // files, by server and role
	secrets   []string          // what stands in them
	group     string
	topic     string
	lock      string // prefixes
	cache     string
	said      strings.Builder // all that any program has written
}

func newTenant(t *testing.T, database string) *tenant {
	t.Helper()
	n := &tenant{
		t: t, servers: testkit.StartRestricted(t, database), page: readGrants(t),
		names: make(map[string]string), passwords: make(map[string]string),
		group: testkit.Unique("group"), topic: testkit.Unique("orders"),
		lock: testkit.Unique("lock") + ":{goods}:", cache: testkit.Unique("stock") + ":{level}:",
	}
	folder := t.TempDir()
	for _, role := range roles {
		n.names[role] = n.servers.User(role)
		for _, server := range []string{"kafka", "redis", "database"} {
			secret := testkit.Unique("canary-" + server + "-" + role)
			path := filepath.Join(folder, server+"-"+role)
			err := os.WriteFile(path, []byte(secret+"\n"), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			n.secrets = append(n.secrets, secret)
			n.passwords[server+role] = path
		}
	}
	return n
}

func (n *tenant) password(server, role string) string {
	n.t.Helper()
	text, err := os.ReadFile(n.passwords[server+role])
	if err != nil {
		n.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// grantSQL carries out a block of the page.
func (n *tenant) grantSQL(block int) {
	n.t.Helper()
	for _, statement := range n.page.sql[block] {
		statement = strings.ReplaceAll(statement, "ON orders.", "ON "+n.servers.Database+".")
		for _, role := range roles {
			if strings.Contains(statement, "'"+role+"'") {
				statement = strings.ReplaceAll(statement, "'PASSWORD'", "'"+n.password("database", role)+"'")
				statement = strings.ReplaceAll(statement, "'"+role+"'", "'"+n.names[role]+"'")
			}
		}
		n.servers.SQL(n.t, statement)
	}
}

// grantRedis makes the page's users.
func (n *tenant) grantRedis() {
	n.t.Helper()
	for _, command := range n.page.redis {
		role := strings.Fields(command)[2] // ACL SETUSER role
		rules := strings.NewReplacer("SETUSER "+role, "SETUSER "+n.names[role], ">PASSWORD", ">"+n.password("redis", role),
			"lock:{goods}:", n.lock, "order-consumer", n.group, "stock:{level}:", n.cache)
		var words []any
		for word := range strings.FieldsSeq(rules.Replace(command)) {
			words = append(words, word)
		}
		n.servers.Redis(n.t, words...)
	}
}

// grantKafka makes the users and gives them what the page does.
func (n *tenant) grantKafka() {
	n.t.Helper()
	for _, role := range roles {
		testkit.AlterScram(n.t, n.names[role], n.password("kafka", role))
	}
	for _, words := range n.page.kafka {
		var user string
		var rest []string
		for i := 1; i < len(words); i++ {
			switch word := words[i]; word {
			case "--add":
			case "--bootstrap-server":
				i++
			case "--allow-principal":
				i++
				user = n.names[strings.TrimPrefix(words[i], "User:")]
			default:
				rest = append(rest, n.renamed(word))
			}
		}
		if user == "" {
			n.t.Fatalf("%v grants nobody anything", words)
		}
		testkit.Grant(n.t, user, rest)
	}
}

// renamed is a topic or a group of the page as the test has it.
func (n *tenant) renamed(word string) string {
	switch {
	case word == "orders":
		return n.topic
	case word == "order-consumer":
		return n.group
	case strings.HasPrefix(word, "orders."):
		return n.topic + strings.ReplaceAll(strings.TrimPrefix(word, "orders"), "order-consumer", n.group)
	default:
		return word
	}
}

// Flags of the servers, as a role reaches them.

func (n *tenant) kafkaArgs(role string) []string {
	return []string{"--kafka-brokers=" + strings.Join(n.servers.Brokers, ","), "--kafka-ca=" + n.servers.CA,
		"--kafka-sasl=" + kafka.LoginScram512, "--kafka-user=" + n.names[role], "--kafka-password-file=" + n.passwords["kafka"+role]}
}

func (n *tenant) databaseArgs(role string) []string {
	return []string{"--database-url=" + strings.Replace(n.servers.DatabaseURL, "://", "://"+n.names[role]+"@", 1),
		"--database-ca=" + n.servers.CA, "--database-password-file=" + n.passwords["database"+role]}
}

func (n *tenant) redisArgs(role string) []string {
	return []string{"--redis-url=" + strings.ReplaceAll(strings.Join(n.servers.RedisURLs, ","), "://", "://"+n.names[role]+"@"),
		"--redis-ca=" + n.servers.CA, "--redis-password-file=" + n.passwords["redis"+role]}
}

func (n *tenant) groupArgs() []string {
	return []string{"--group=" + n.group, "--retry-after=1ms,2ms"}
}

// runArgs are all settings of a consumer. It waits for Redis, so that a right that
// is missing there is not passed over.
func (n *tenant) runArgs() []string {
	return slices.Concat(n.kafkaArgs("consumer"), n.databaseArgs("consumer"), n.redisArgs("consumer"), n.groupArgs(), []string{
		"--topic=" + n.topic, "--partitions=3", "--lock=required", "--lock-prefix=" + n.lock, "--cache-prefix=" + n.cache,
		"--cache-unknown-most=1", // the second unknown goods takes the place of the first
	})
}

// consume carries out a command of the consumer, which has to come out well.
func (n *tenant) consume(args []string, command ...string) string {
	n.t.Helper()
	return n.note(command, consume(n.t, "", append(command, args...)...))
}

func (n *tenant) note(command []string, a answer) string {
	n.t.Helper()
	n.said.WriteString(a.stdout + a.stderr)
	if a.code != cli.ExitOK {
		n.t.Fatalf("%v: exit %d\n%s%s", command, a.code, a.stdout, a.stderr)
	}
	return a.stdout
}

// TestEveryUserDoesItsWorkWithWhatThePageGrants: and no password is shown while it
// does.
func TestEveryUserDoesItsWorkWithWhatThePageGrants(t *testing.T) {
	t.Parallel()
	if !testkit.Real() {
		t.Skip("the embedded servers grant everything to everybody")
	}
	for _, database := range []string{"mysql", "mariadb"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			n := newTenant(t, database)
			n.awaitCoordinator()
			n.grantSQL(0)
			n.consume(n.databaseArgs("migrator"), "migrate")
			n.grantSQL(1)
			n.grantRedis()
			n.grantKafka()
			n.atWork()
			n.ofOperator()
			if database == "mysql" {
				n.ofGroup()
			}
			n.ofJobs()
			testkit.WantParts(t, n.consume(n.runArgs(), "doctor"), "[ok]   lock: ", "tables can be read, and levels locked")
			if denied := n.servers.RedisDenied(t, n.names["consumer"]); len(denied) > 0 {
				t.Errorf("Redis refused %q", denied)
			}
			n.showsNoSecret()
		})
	}
}

// TestADrillDoesItsWorkWithWhatThePageGrants has no company: the drill starts this
// program again, and says so in the environment.
func TestADrillDoesItsWorkWithWhatThePageGrants(t *testing.T) {
	if !testkit.Real() {
		t.Skip("the embedded servers grant everything to everybody")
	}
	t.Setenv(childVariable, "1")
	for _, database := range []string{"mysql", "mariadb"} {
		t.Run(database, func(t *testing.T) {
			n := newTenant(t, database)
			n.awaitCoordinator()
			n.grantSQL(blockOfDrill)
			n.grantRedis()
			n.grantKafka()
			at := strings.Replace(n.databaseArgs("driller")[0], "/"+n.servers.Database, "/information_schema", 1)
			args := slices.Concat(n.kafkaArgs("driller"), n.databaseArgs("driller"), n.redisArgs("driller"), []string{at})
			played := n.consume(args, "drill", "--orders=600", "--kills=1", "--instances=1", "--partitions=3")
			testkit.WantParts(t, played, "the promise was kept")
			if strings.Contains(n.said.String(), "not wholly removed") {
				t.Error(n.said.String())
			}
			if denied := n.servers.RedisDenied(t, n.names["driller"]); len(denied) > 0 {
				t.Errorf("Redis refused %q", denied)
			}
			for _, secret := range n.secrets {
				if strings.Contains(n.said.String(), secret) {
					t.Errorf("it shows the password %s", secret)
				}
			}
		})
	}
}

// blockOfDrill is where on the page the drill's user of the database is made.
const blockOfDrill = 3
