package contract_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// page is what the tests need of asyncapi.yaml.
type page struct {
	AsyncAPI string `yaml:"asyncapi"`
	Channels map[string]struct {
		Address    string
		Parameters map[string]any
		Messages   map[string]any
	}
	Components struct {
		Parameters map[string]struct{ Default string }
		Messages   map[string]struct {
			Examples []struct {
				Name    string
				Payload any
			}
		}
		Schemas map[string]headerSchema
	}
}

type headerSchema struct {
	Required   []string
	Properties map[string]struct {
		Const     string
		Enum      []string
		MaxLength int `yaml:"maxLength"`
	}
}

func readPage(t *testing.T) page {
	t.Helper()
	var p page
	if err := yaml.Unmarshal([]byte(readContract(t, "asyncapi.yaml")), &p); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(p.AsyncAPI, "3.") {
		t.Fatalf("got version %q of AsyncAPI, want 3", p.AsyncAPI)
	}
	return p
}

func TestAsyncAPIHasTheTopicsOfAGroup(t *testing.T) {
	t.Parallel()
	p := readPage(t)
	topics := order.NewTopics("orders", "{group}", []time.Duration{5 * time.Second})
	want := map[string]string{
		"orders":      topics.Input,
		"results":     topics.Results,
		"deadLetters": topics.Dead,
		"retry":       strings.Replace(topics.Tiers[0].Topic, "5s", "{delay}", 1),
	}
	got := map[string]string{}
	for name, channel := range p.Channels {
		got[name] = channel.Address
		for parameter := range channel.Parameters {
			if !strings.Contains(channel.Address, "{"+parameter+"}") {
				t.Errorf("channel %s has a parameter %s that is not in its address", name, parameter)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAsyncAPIHasTheHeadersOfEveryMessage(t *testing.T) {
	t.Parallel()
	schemas := readPage(t).Components.Schemas
	cloudEvents := []string{
		order.HeaderSpecVersion, order.HeaderID, order.HeaderType, order.HeaderSource, order.HeaderTime,
		order.HeaderContentType, order.HeaderTraceParent,
	}
	slices.Sort(cloudEvents)
	for _, name := range []string{"eventHeaders", "outcomeHeaders"} {
		if diff := cmp.Diff(cloudEvents, slices.Sorted(maps.Keys(schemas[name].Properties))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}

	d := order.Delivery{Origin: stock.Origin{Topic: "orders"}, OriginTime: decidedAt, Attempt: 1}
	f := order.Failure{Code: "c", Message: "m", At: decidedAt, Group: "g"}
	dead := order.Forward(&order.Message{}, d, f)
	failure := schemas["failureHeaders"]
	if diff := cmp.Diff(slices.Sorted(slices.Values(failure.Required)), keys(dead.Headers)); diff != "" {
		t.Errorf("required of a dead letter: %s", diff)
	}
	d.ReplayID, d.Truncated, f.NotBefore = "r", new(int64), decidedAt
	retried := order.Forward(&order.Message{}, d, f)
	all := append(slices.Collect(maps.Keys(failure.Properties)), order.HeaderNotBefore)
	slices.Sort(all)
	if diff := cmp.Diff(all, keys(retried.Headers)); diff != "" {
		t.Errorf("headers of a retried event that was replayed: %s", diff)
	}

	o := order.OutcomeOf(order.Event{ID: "e", Type: order.Created}, stock.Record{Order: "A", State: stock.Deducted, DecidedAt: decidedAt})
	m := o.Message("orders.results", nil)
	outcome := schemas["outcomeHeaders"]
	if diff := cmp.Diff(slices.Sorted(slices.Values(outcome.Required)), keys(m.Headers)); diff != "" {
		t.Errorf("required of an outcome: %s", diff)
	}
	for _, h := range m.Headers {
		property := outcome.Properties[h.Key]
		if property.Const != "" && property.Const != string(h.Value) {
			t.Errorf("header %s is %s, want %s", h.Key, h.Value, property.Const)
		}
		if property.Enum != nil && !slices.Contains(property.Enum, string(h.Value)) {
			t.Errorf("header %s is %s, want one of %s", h.Key, h.Value, property.Enum)
		}
	}
}

func keys(headers []order.Header) []string {
	var names []string
	for _, h := range headers {
		names = append(names, h.Key)
	}
	slices.Sort(names)
	return names
}

func TestAsyncAPIHasTheLimitsOfHeaders(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	d := order.Delivery{Origin: stock.Origin{Topic: "orders"}, OriginTime: decidedAt, Attempt: 1}
	m := order.Forward(&order.Message{}, d, order.Failure{Code: long, Message: long, At: decidedAt, Group: "g"})
	limits := readPage(t).Components.Schemas["failureHeaders"].Properties
	for _, name := range []string{order.HeaderErrorCode, order.HeaderErrorMessage} {
		if value, _ := m.Header(name); len(value) != limits[name].MaxLength {
			t.Errorf("header %s is cut to %d bytes, the page says %d", name, len(value), limits[name].MaxLength)
		}
	}
}

func TestTheExamplesOfAsyncAPIAreValid(t *testing.T) {
	t.Parallel()
	event, outcome := compile(t, "order.schema.json"), compile(t, "outcome.schema.json")
	checked := 0
	for name, message := range readPage(t).Components.Messages {
		schema := event
		if name == "outcome" {
			schema = outcome
		}
		for _, example := range message.Examples {
			checked++
			value, err := json.Marshal(example.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if err := passes(schema, value); err != nil {
				t.Errorf("%s %s: %v", name, example.Name, err)
			}
		}
	}
	if checked < 5 {
		t.Errorf("found %d examples, want all five", checked)
	}
}
