package testkit

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Mechanisms as the protocol numbers them, and how often they hash.
const (
	scramSHA256     = 1
	scramSHA512     = 2
	scramIterations = 4096
)

// AlterScram makes a user of the real brokers, known by both ways of SCRAM.
func AlterScram(t testing.TB, user, password string) {
	t.Helper()
	client := admin(t)
	defer client.Close()
	for mechanism, size := range map[int8]int{scramSHA256: sha256.Size, scramSHA512: sha512.Size} {
		salt := []byte(rand.Text())
		salted, err := hashed(mechanism, password, salt, size)
		must(t, err)
		one := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		one.Name, one.Mechanism, one.Iterations, one.Salt, one.SaltedPassword = user, mechanism, scramIterations, salt, salted
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		req.Upsertions = append(req.Upsertions, one)
		res, err := req.RequestWith(t.Context(), client)
		must(t, err)
		if code := res.Results[0].ErrorCode; code != 0 {
			t.Fatalf("make user %s: error %d %s", user, code, text(res.Results[0].ErrorMessage))
		}
	}
}

func hashed(mechanism int8, password string, salt []byte, size int) ([]byte, error) {
	h := sha256.New
	if mechanism == scramSHA512 {
		h = sha512.New
	}
	return pbkdf2.Key(h, password, salt, scramIterations, size)
}

// Grant gives a user of the real brokers what the arguments of kafka-acls.sh
// say, as --operation Read --topic orders.
func Grant(t testing.TB, user string, arguments []string) {
	t.Helper()
	client := admin(t)
	defer client.Close()
	req := kmsg.NewPtrCreateACLsRequest()
	var operations []kmsg.ACLOperation
	resource := kmsg.NewCreateACLsRequestCreation()
	resource.Principal, resource.Host = "User:"+user, "*"
	resource.PermissionType = kmsg.ACLPermissionTypeAllow
	resource.ResourcePatternType = kmsg.ACLResourcePatternTypeLiteral
	for i := 0; i < len(arguments); i++ {
		name := arguments[i]
		if name == "--cluster" {
			resource.ResourceType, resource.ResourceName = kmsg.ACLResourceTypeCluster, "kafka-cluster"
			continue
		}
		i++
		if i == len(arguments) {
			t.Fatalf("%v: %s has no value", arguments, name)
		}
		switch value := arguments[i]; name {
		case "--operation":
			operation, err := kmsg.ParseACLOperation(value)
			must(t, err)
			operations = append(operations, operation)
		case "--topic":
			resource.ResourceType, resource.ResourceName = kmsg.ACLResourceTypeTopic, value
		case "--group":
			resource.ResourceType, resource.ResourceName = kmsg.ACLResourceTypeGroup, value
		case "--resource-pattern-type":
			kind, err := kmsg.ParseACLResourcePatternType(value)
			must(t, err)
			resource.ResourcePatternType = kind
		default:
			t.Fatalf("%v: the kit does not know %s", arguments, name)
		}
	}
	for _, operation := range operations {
		one := resource
		one.Operation = operation
		req.Creations = append(req.Creations, one)
	}
	res, err := req.RequestWith(t.Context(), client)
	must(t, err)
	for _, result := range res.Results {
		if result.ErrorCode != 0 {
			t.Fatalf("%v: error %d %s", arguments, result.ErrorCode, text(result.ErrorMessage))
		}
	}
}

// admin is somebody who may do everything: whoever comes through the plain port.
func admin(t testing.TB) *kgo.Client {
	t.Helper()
	return connect(t, strings.Split(env(t, "KAFKA_BROKERS"), ",")...)
}

// connect is a client that can do what ours has no use for. The caller closes it.
func connect(t testing.TB, brokers ...string) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	must(t, err)
	return client
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
