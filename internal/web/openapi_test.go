package web

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"orderconsumer/internal/order"
)

// document is contract/openapi.yaml as JSON values, with a compiler that knows
// it by that name.
type document struct {
	root     map[string]any
	compiler *jsonschema.Compiler
}

const documentURL = "file:///openapi.json"

// readDocument reads the contract. Its objects are closed first: clients have
// to bear unknown members, but one of ours that the contract does not know of
// is a mistake.
func readDocument(t *testing.T) *document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "contract", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	for _, schema := range root["components"].(map[string]any)["schemas"].(map[string]any) {
		if s := schema.(map[string]any); s["type"] == "object" {
			s["additionalProperties"] = false
		}
	}
	asJSON, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	d := &document{root: value.(map[string]any), compiler: jsonschema.NewCompiler()}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(documentURL, value); err != nil {
		t.Fatal(err)
	}
	return d
}

// at returns the value at a path of member names, following references.
func (d *document) at(path ...string) (value map[string]any, pointer []string) {
	value = d.root
	for _, name := range path {
		next, ok := value[name].(map[string]any)
		if !ok {
			return nil, nil
		}
		value, pointer = next, append(pointer, name)
		if ref, ok := value["$ref"].(string); ok {
			value, pointer = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return value, pointer
}

// check validates v, a JSON value, against the schema at a path of the document.
func (d *document) check(t *testing.T, v any, path ...string) {
	t.Helper()
	var pointer strings.Builder
	for _, name := range path {
		pointer.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(name))
	}
	schema, err := d.compiler.Compile(documentURL + "#" + pointer.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%v", err)
	}
}

func TestTheContractHasTheServersRoutes(t *testing.T) {
	t.Parallel()
	var served []string
	for _, r := range setup(t).server(t).routes() {
		if !r.hidden {
			served = append(served, r.pattern)
		}
	}
	paths, _ := readDocument(t).at("paths")
	if diff := cmp.Diff(slices.Sorted(maps.Keys(paths)), slices.Sorted(slices.Values(served))); diff != "" {
		t.Errorf("routes (-contract +served):\n%s", diff)
	}
	for path, item := range paths {
		if methods := slices.Collect(maps.Keys(item.(map[string]any))); !slices.Equal(methods, []string{"get"}) {
			t.Errorf("%s has %v in the contract, and only get is served", path, methods)
		}
	}
}

func TestEveryAnswerIsAsTheContractSays(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	answered := map[string]bool{}
	for _, c := range goldenCases {
		status, header, body := c.ask(t)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v in %s", c.name, err, body)
		}
		if c.route == "" {
			d.check(t, value, "components", "schemas", "Problem")
			continue
		}
		answered[c.route+" "+strconv.Itoa(status)] = true
		contentType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		response, _ := d.at("paths", c.route, "get", "responses", strconv.Itoa(status))
		content, pointer := d.at("paths", c.route, "get", "responses", strconv.Itoa(status), "content")
		if content[contentType] == nil {
			t.Errorf("%s: the contract of %s has no %d with %s", c.name, c.route, status, contentType)
			continue
		}
		t.Run(c.name, func(t *testing.T) { d.check(t, value, append(pointer, contentType, "schema")...) })
		headers, _ := response["headers"].(map[string]any)
		if _, stated := headers["Retry-After"]; stated != (header.Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After is %q, in the contract: %v", c.name, header.Get("Retry-After"), stated)
		}
		for _, name := range []string{"ETag", "Age"} {
			if _, stated := headers[name]; stated != (header.Get(name) != "") {
				t.Errorf("%s: %s is %q, in the contract: %v", c.name, name, header.Get(name), stated)
			}
		}
		if header.Get("ETag") != "" {
			d.check(t, header.Get("ETag"), "components", "headers", "ETag", "schema")
			answered[c.route+" "+strconv.Itoa(c.notModified(t, header.Get("ETag")))] = true
		}
	}
	// The other way round: each answer that the contract states for the API was
	// given above.
	for _, route := range []string{"/v1/orders/{order_id}", "/v1/stock", "/v1/stock/{goods_id}"} {
		responses, _ := d.at("paths", route, "get", "responses")
		for status := range responses {
			if key := route + " " + status; !answered[key] {
				t.Errorf("no test case gets %s", key)
			}
		}
	}
}

func TestEveryExampleOfTheContractKeepsIt(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	seen := 0
	var walk func(value any, pointer []string)
	walk = func(value any, pointer []string) {
		node, ok := value.(map[string]any)
		if !ok {
			if list, ok := value.([]any); ok {
				for i, v := range list {
					walk(v, append(slices.Clip(pointer), strconv.Itoa(i)))
				}
			}
			return
		}
		if examples, ok := node["examples"].(map[string]any); ok {
			for name, example := range examples {
				seen++
				t.Run(strings.Join(append(slices.Clip(pointer), name), " "), func(t *testing.T) {
					d.check(t, example.(map[string]any)["value"], append(slices.Clip(pointer), "schema")...)
				})
			}
		}
		if example, ok := node["example"]; ok {
			seen++
			t.Run(strings.Join(pointer, " "), func(t *testing.T) {
				d.check(t, example, append(slices.Clip(pointer), "schema")...)
			})
		}
		for name, v := range node {
			walk(v, append(slices.Clip(pointer), name))
		}
	}
	walk(d.root, nil)
	if seen < 10 {
		t.Errorf("only %d examples were found", seen)
	}
}

func TestTheContractStatesTheServersLimits(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	id, _ := d.at("components", "schemas", "Id")
	if got := id["maxLength"]; got != json.Number(strconv.Itoa(order.MaxIDBytes)) {
		t.Errorf("ids have at most %v characters, want %d", got, order.MaxIDBytes)
	}
	get, _ := d.at("paths", "/v1/stock", "get")
	parameter := get["parameters"].([]any)[0].(map[string]any)
	if got := parameter["schema"].(map[string]any)["maxItems"]; got != json.Number(strconv.Itoa(maxGoods)) {
		t.Errorf("a multi-get has at most %v goods, want %d", got, maxGoods)
	}
	servers := d.root["servers"].([]any)
	if got := servers[0].(map[string]any)["url"]; got != "http://"+DefaultAddr {
		t.Errorf("the server is at %v, want %s", got, DefaultAddr)
	}
	for bad, ok := range map[string]bool{"": false, "a\nb": false, "a\x7fb": false, strings.Repeat("x", 65): false, "a/b \u8ba2": true} {
		schema, err := d.compiler.Compile(documentURL + "#/components/schemas/Id")
		if err != nil {
			t.Fatal(err)
		}
		if byContract, byServer := schema.Validate(bad) == nil, checkID("id", bad) == nil; byContract != ok || byServer != ok {
			t.Errorf("id %q: taken by the contract %v, by the server %v, want %v", bad, byContract, byServer, ok)
		}
	}
}
