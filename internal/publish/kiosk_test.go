package publish

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
)

// kiosk is one test's world: a topic of its own on a broker, a folder, and a
// producer to call.
type kiosk struct {
	t       *testing.T
	topic   string
	folder  string
	brokers []string
	client  *kafka.Client
	// cluster is nil on a real broker.
	cluster *kfake.Cluster
}

const kioskPartitions = 3

// newKiosk runs on an embedded broker, or on a real one where the environment
// says so.
func newKiosk(t *testing.T) *kiosk {
	t.Helper()
	if !testkit.Real() {
		return newFakeKiosk(t)
	}
	k := &kiosk{t: t, topic: testkit.Unique("orders"), folder: t.TempDir(), brokers: strings.Split(os.Getenv("KAFKA_BROKERS"), ",")}
	k.connect()
	_, err := k.client.EnsureTopics(t.Context(), []kafka.TopicSpec{{Name: k.topic, Partitions: kioskPartitions, Replication: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// newFakeKiosk runs on an embedded broker, which can be made to fail.
func newFakeKiosk(t *testing.T) *kiosk {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(kioskPartitions, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	k := &kiosk{t: t, topic: "orders", folder: t.TempDir(), brokers: cluster.ListenAddrs(), cluster: cluster}
	k.connect()
	return k
}

func (k *kiosk) connect() {
	k.t.Helper()
	client, err := settings.Kafka{Brokers: k.brokers}.Client("test")
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(client.Close)
	k.client = client
}

// file writes a file into the folder and returns its path.
func (k *kiosk) file(name, text string) string {
	k.t.Helper()
	path := filepath.Join(k.folder, name)
	err := os.WriteFile(path, []byte(text), 0o600)
	if err != nil {
		k.t.Fatal(err)
	}
	return path
}

// content is what a file holds; a file that is not there holds nothing.
func (k *kiosk) content(path string) string {
	k.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		k.t.Fatal(err)
	}
	return string(text)
}

// failures is where the kiosk's failed lines go.
func (k *kiosk) failures() string { return filepath.Join(k.folder, "failed") }

// call runs the producer.
func (k *kiosk) call(stdin, command string, args ...string) ending {
	k.t.Helper()
	return k.callUnder(nil, strings.NewReader(stdin), command, args...)
}

func (k *kiosk) callUnder(signals chan os.Signal, stdin io.Reader, command string, args ...string) ending {
	k.t.Helper()
	args = append([]string{
		command, "--kafka-brokers", strings.Join(k.brokers, ","), "--topic", k.topic, "--failed-file", k.failures(),
	}, args...)
	var stdout bytes.Buffer
	var stderr lockedBuffer
	code := program().RunUnder(signals, args, cli.Streams{Stdin: stdin, Stdout: &stdout, Stderr: &stderr})
	return ending{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// lockedBuffer may be read while it is written to.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// published is all that stands in the topic, by partition and offset.
func (k *kiosk) published() []order.Message {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	ranges, err := k.client.Ranges(ctx, k.topic)
	if err != nil {
		k.t.Fatal(err)
	}
	var mu sync.Mutex
	var messages []order.Message
	err = k.client.Scan(ctx, ranges, func(m order.Message) error {
		mu.Lock()
		defer mu.Unlock()
		messages = append(messages, m)
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	slices.SortFunc(messages, func(a, b order.Message) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return messages
}

// values are the values that stand in the topic, sorted.
func (k *kiosk) values() []string {
	k.t.Helper()
	var values []string
	for _, m := range k.published() {
		values = append(values, string(m.Value))
	}
	slices.Sort(values)
	return values
}

// untilPublished waits for n messages in the topic.
func (k *kiosk) untilPublished(n int64) {
	k.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		ranges, err := k.client.Ranges(k.t.Context(), k.topic)
		if err != nil {
			k.t.Fatal(err)
		}
		there := int64(0)
		for _, r := range ranges {
			there += r.Messages()
		}
		if there >= n {
			return
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("%d messages in the topic, want %d", there, n)
		}
	}
}

// answered reads the object that a command has answered with.
func answered[T any](t *testing.T, a ending) T {
	t.Helper()
	var object T
	decoder := json.NewDecoder(strings.NewReader(a.stdout))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&object)
	if err != nil || decoder.More() {
		t.Fatalf("%v: no single object: %q", err, a.stdout)
	}
	return object
}

// expect compares the code and looks for texts on standard error.
func (a ending) expect(t *testing.T, code cli.Exit, said ...string) {
	t.Helper()
	if a.code != code {
		t.Errorf("exit code %d, want %d", a.code, code)
	}
	for _, text := range said {
		if !strings.Contains(a.stderr, text) {
			t.Errorf("standard error lacks %q", text)
		}
	}
	if t.Failed() {
		t.Logf("standard error:\n%s", a.stderr)
	}
}

// program is the producer with the commands of this package.
func program() cli.Program {
	return cli.Program{Name: "producer", Help: "Publishes.", Commands: &struct {
		Publish  Command         `cmd:"" help:"Publish."`
		Generate GenerateCommand `cmd:"" help:"Generate."`
	}{}}
}

func creates(id string, goods string, num int) string {
	return fmt.Sprintf(`{"event_id":"e-%s","type":"order.created","order_id":%q,"items":[{"goods_id":%q,"num":%d}]}`, id, id, goods, num)
}

func cancels(id string) string {
	return fmt.Sprintf(`{"event_id":"c-%s","type":"order.cancelled","order_id":%q}`, id, id)
}

// patience ends a test that waits for something that does not come.
const patience = 60 * time.Second

// ending is what a command line came to.
type ending struct {
	code           cli.Exit
	stdout, stderr string
}
