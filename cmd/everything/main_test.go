package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// serve runs the program on a free port and returns its endpoint.
func serve(t *testing.T, args ...string) (url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, stderr := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, append([]string{"--listen", "127.0.0.1:0", "--log-level", "error"}, args...), nil, nil, stderr)
		stderr.Close()
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if status := <-done; status != exitOK {
			t.Errorf("status %d", status)
		}
	})
	lines := bufio.NewScanner(out)
	endpoint := regexp.MustCompile(`^endpoint +(http://\S+)`)
	for lines.Scan() {
		if m := endpoint.FindStringSubmatch(lines.Text()); m != nil {
			go io.Copy(io.Discard, out) // until the server ends
			return m[1]
		}
	}
	t.Fatal("the server has no endpoint")
	return ""
}

// object is decoded JSON.
type object = map[string]any

// named are the params that the header Mcp-Name repeats.
var named = map[string]string{
	"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "tasks/get": "taskId", "tasks/update": "taskId",
}

// request sends a request of 2026-07-28 by a client that can do everything.
func request(t *testing.T, url, method string, params object) *http.Response {
	t.Helper()
	if params == nil {
		params = object{}
	}
	params["_meta"] = object{
		"io.modelcontextprotocol/protocolVersion": "2026-07-28",
		"io.modelcontextprotocol/clientInfo":      object{"name": "test", "version": "1"},
		"io.modelcontextprotocol/clientCapabilities": object{
			"elicitation": object{"form": object{}, "url": object{}}, "sampling": object{}, "roots": object{},
			"extensions": object{"io.modelcontextprotocol/tasks": object{}},
		},
		"io.modelcontextprotocol/logLevel": "info",
		"progressToken":                    "p",
	}
	body, err := json.Marshal(object{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("MCP-Protocol-Version", "2026-07-28")
	req.Header.Set("Mcp-Method", method)
	if name, ok := params[named[method]].(string); ok {
		req.Header.Set("Mcp-Name", name)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// call returns the result of a request, or its error object.
func call(t *testing.T, url, method string, params object) object {
	t.Helper()
	res := request(t, url, method, params)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		var msg struct {
			ID            any
			Result, Error object
		}
		line = strings.TrimPrefix(line, "data: ")
		switch {
		case json.Unmarshal([]byte(line), &msg) != nil || msg.ID == nil:
		case msg.Error != nil:
			return msg.Error
		default:
			return msg.Result
		}
	}
	t.Fatalf("%s is not answered: %s", method, body)
	return nil
}

// answers to any question that this server asks, by its method. The form holds
// the fields of all forms: what is not asked for is ignored.
var answers = map[string]object{
	"elicitation/create": {"action": "accept", "content": object{
		"name": "Alice", "color": "blue", "ok": true, "confirm": true, "context": "tests", "username": "alice", "email": "a@example.com",
	}},
	"sampling/createMessage": {"role": "assistant", "model": "m", "content": object{"type": "text", "text": "Paris"}},
	"roots/list":             {"roots": []any{object{"uri": "file:///tmp"}}},
}

func answer(t *testing.T, questions any) object {
	t.Helper()
	given := object{}
	for key, q := range questions.(object) {
		method, _ := q.(object)["method"].(string)
		if answers[method] == nil {
			t.Fatalf("unexpected question %v", q)
		}
		given[key] = answers[method]
	}
	return given
}

// finish calls a tool or gets a prompt, answers what is asked, and waits for the
// task if it becomes one.
func finish(t *testing.T, url, method string, params object) object {
	t.Helper()
	res := call(t, url, method, params)
	for range 5 {
		switch res["resultType"] {
		case "input_required":
			params["inputResponses"], params["requestState"] = answer(t, res["inputRequests"]), res["requestState"]
			res = call(t, url, method, params)
		case "task":
			return await(t, url, res["taskId"].(string))
		default:
			return res
		}
	}
	t.Fatalf("%s %v asks again and again", method, params["name"])
	return nil
}

// await is the result or the error of a task.
func await(t *testing.T, url, id string) object {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		task := call(t, url, "tasks/get", object{"taskId": id})
		switch task["status"] {
		case "input_required":
			call(t, url, "tasks/update", object{"taskId": id, "inputResponses": answer(t, task["inputRequests"])})
		case "completed":
			return task["result"].(object)
		case "failed":
			return task["error"].(object)
		case "cancelled":
			t.Fatalf("task %s was cancelled", id)
		}
	}
	t.Fatalf("task %s does not end", id)
	return nil
}

func TestEveryTool(t *testing.T) {
	url := serve(t)
	tests := map[string]struct {
		args object
		want string // in the JSON of the result
	}{
		"about":                                      {nil, `"client":"test 1"`},
		"clock":                                      {nil, `"structuredContent":{"time":"20`},
		"json_schema_2020_12_tool":                   {object{"phone": "1", "contactMethod": "phone"}, "accepted 2 members"},
		"test_x_mcp_header":                          {object{"level": 3}, `level 3`},
		"test_simple_text":                           {nil, "This is a simple text response for testing."},
		"test_image_content":                         {nil, `"mimeType":"image/png"`},
		"test_audio_content":                         {nil, `"mimeType":"audio/wav"`},
		"test_embedded_resource":                     {nil, "test://embedded-resource"},
		"test_multiple_content_types":                {nil, "test://mixed-content-resource"},
		"test_error_handling":                        {nil, `"isError":true`},
		"test_tool_with_logging":                     {nil, "logged three messages"},
		"test_logging_tool":                          {nil, "logged a message"},
		"test_tool_with_progress":                    {nil, "done"},
		"test_reconnection":                          {nil, "here is the answer"},
		"test_sampling":                              {object{"prompt": "?"}, "LLM response: Paris"},
		"test_elicitation":                           {object{"message": "?"}, "alice"},
		"test_elicitation_sep1034_defaults":          {nil, "age:30"},
		"test_elicitation_sep1330_enums":             {nil, "action=accept"},
		"test_streaming_elicitation":                 {nil, "chose to accept"},
		"visit_page":                                 {nil, "chose to accept the page"},
		"test_missing_capability":                    {nil, "Paris"},
		"test_input_required_result_elicitation":     {nil, "Hello, Alice!"},
		"test_input_required_result_sampling":        {nil, "m says: Paris"},
		"test_input_required_result_list_roots":      {nil, "1 roots: file:///tmp"},
		"test_input_required_result_multiple_inputs": {nil, "user_name: accept Alice; greeting: Paris; client_roots: file:///tmp"},
		"test_input_required_result_multi_round":     {nil, "Alice likes blue"},
		"test_input_required_result_capabilities":    {nil, "user_name: accept Alice; greeting: Paris; client_roots: file:///tmp"},
		"test_input_required_result_request_state":   {nil, "state-ok: I had asked for a confirmation, and your user chose to accept"},
		"test_input_required_result_tampered_state":  {nil, "state-ok"},
		"greet":                      {object{"name": "World"}, "Hello, World!"},
		"slow_compute":               {object{"seconds": 0.3, "label": "pi"}, "computed pi for 300ms"},
		"failing_job":                {nil, `"isError":true`},
		"protocol_error_job":         {nil, "the job broke down"},
		"confirm_delete":             {object{"filename": "a.txt"}, "a.txt was deleted"},
		"multi_input":                {nil, "name: Alice, confirmed: true"},
		"test_tool_with_task":        {nil, "Hello, Alice, and thank you for waiting!"},
		"test_trigger_tool_change":   {nil, "changed"},
		"test_trigger_prompt_change": {nil, "changed"},
	}
	list := call(t, url, "tools/list", nil)["tools"].([]any)
	if first := list[0].(object)["name"]; first != "about" {
		t.Errorf("the first tool is %v", first)
	}
	for _, tool := range list {
		name := tool.(object)["name"].(string)
		t.Run(name, func(t *testing.T) {
			tt, known := tests[name]
			if !known {
				t.Fatal("the tool is not tested")
			}
			args := tt.args
			if args == nil {
				args = object{}
			}
			wants(t, finish(t, url, "tools/call", object{"name": name, "arguments": args}), tt.want)
		})
		delete(tests, name)
	}
	for name := range tests {
		t.Errorf("there is no tool %s", name)
	}
}

// wants fails unless the JSON of got, without escapes, holds want.
func wants(t *testing.T, got object, want string) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(got); err != nil {
		t.Fatal(err)
	}
	if plain := strings.ReplaceAll(b.String(), `\"`, `"`); !strings.Contains(plain, want) {
		t.Errorf("got %s, want %s in it", plain, want)
	}
}

func TestEverythingElse(t *testing.T) {
	url := serve(t)
	for _, tt := range []struct {
		method string
		params object
		want   string
	}{
		{"server/discover", nil, `"io.modelcontextprotocol/tasks"`},
		{"server/discover", nil, `"io.modelcontextprotocol/skills"`},
		{"prompts/list", nil, `"test_simple_prompt"`},
		{"prompts/get", object{"name": "test_simple_prompt"}, "This is a simple prompt for testing."},
		{"prompts/get", object{"name": "test_prompt_with_arguments", "arguments": object{"arg1": "a", "arg2": "b"}}, "arg1='a', arg2='b'"},
		{"prompts/get", object{"name": "test_prompt_with_embedded_resource", "arguments": object{"resourceUri": "test://x"}}, `"uri":"test://x"`},
		{"prompts/get", object{"name": "test_prompt_with_image"}, `"image/png"`},
		{"prompts/get", object{"name": "test_input_required_result_prompt"}, "Context: tests"},
		{"resources/list", nil, `"test://watched-resource"`},
		{"resources/templates/list", nil, `"test://template/{id}/data"`},
		{"resources/read", object{"uri": "test://static-text"}, "This is the content of the static text resource."},
		{"resources/read", object{"uri": "test://static-binary"}, `"blob":"iVBOR`},
		{"resources/read", object{"uri": "test://watched-resource"}, "changed "},
		{"resources/read", object{"uri": "test://template/a%20b/data"}, `"data":"Data for ID: a b"`},
		{"completion/complete", object{
			"ref": object{"type": "ref/prompt", "name": "test_prompt_with_arguments"}, "argument": object{"name": "arg1", "value": "test"},
		}, `["testValue1","testimony"]`},
		{"skills/list", nil, `"skill://write-a-tool/SKILL.md"`},
		{"skills/get", object{"uri": "skill://release-notes/SKILL.md"}, `"license":"Apache-2.0"`},
		{"resources/read", object{"uri": "skill://write-a-tool/examples/greet.md"}, "whom to greet"},
		{"server/discover", nil, `"io.modelcontextprotocol/ui"`},
		{"resources/read", object{"uri": clockURI}, `"mimeType":"text/html;profile=mcp-app"`},
		{"example/echo", object{"text": "hi"}, `"text":"hi"`},
		{"example/echo", object{"text": 1}, "example/echo needs params.text, a string"},
	} {
		t.Run(tt.method, func(t *testing.T) {
			if tt.params == nil {
				tt.params = object{}
			}
			wants(t, finish(t, url, tt.method, tt.params), tt.want)
		})
	}
}

// TestDeclined: what a user may not want is not done.
func TestDeclined(t *testing.T) {
	url := serve(t)
	no := object{"action": "decline"}
	name := object{"name": "test_input_required_result_elicitation", "arguments": object{}, "inputResponses": object{"user_name": no}}
	wants(t, call(t, url, "tools/call", name), "Hello, whoever you are!")
	res := call(t, url, "tools/call", object{"name": "confirm_delete", "arguments": object{"filename": "a.txt"}})
	id := res["taskId"].(string)
	for call(t, url, "tasks/get", object{"taskId": id})["status"] != "input_required" {
		time.Sleep(10 * time.Millisecond)
	}
	call(t, url, "tasks/update", object{"taskId": id, "inputResponses": object{"confirm": no}})
	wants(t, await(t, url, id), "a.txt was not deleted")
}

// TestDirectory reads what --dir serves, and nothing else.
func TestDirectory(t *testing.T) {
	url := serve(t, "--dir", "skills/write-a-tool")
	wants(t, finish(t, url, "resources/list", object{}), `"file:///served/SKILL.md"`)
	wants(t, finish(t, url, "resources/read", object{"uri": "file:///served/examples"}), "file:///served/examples/greet.md")
	wants(t, finish(t, url, "resources/read", object{"uri": "file:///served/examples/greet.md"}), "whom to greet")
	wants(t, finish(t, url, "resources/read", object{"uri": "file:///served/../../main.go"}), "Resource not found")
}

// TestWatch waits for the resource that changes by itself.
func TestWatch(t *testing.T) {
	res := request(t, serve(t), "subscriptions/listen", object{"notifications": object{"resourceSubscriptions": []any{watchedURI}}})
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"notifications/resources/updated"`) {
			return
		}
	}
	t.Error("the subscription ended without an update")
}

// TestPages walks a list in small pages.
func TestPages(t *testing.T) {
	url := serve(t, "--page", "7")
	seen := map[any]bool{}
	params := object{}
	for range 20 {
		res := call(t, url, "tools/list", params)
		tools := res["tools"].([]any)
		if len(tools) > 7 {
			t.Fatalf("a page has %d tools", len(tools))
		}
		for _, tool := range tools {
			seen[tool.(object)["name"]] = true
		}
		if res["nextCursor"] == nil {
			break
		}
		params = object{"cursor": res["nextCursor"]}
	}
	if len(seen) < 30 {
		t.Errorf("the pages have %d tools", len(seen))
	}
}

func TestStdio(t *testing.T) {
	in := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}` + "\n")
	var out, stderr bytes.Buffer
	if status := run(t.Context(), []string{"--stdio"}, in, &out, &stderr); status != exitOK {
		t.Errorf("status %d: %s", status, &stderr)
	}
	if !strings.Contains(out.String(), `"logging":{}`) {
		t.Errorf("got %s, want the capability logging", &out)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want int
		text string
	}{
		{[]string{"--help"}, exitOK, "-page"},
		{[]string{"--page", "-1"}, exitUsage, "--page: -1 is negative"},
		{[]string{"--log-level", "loud"}, exitUsage, "log-level"},
		{[]string{"mcp"}, exitUsage, `unexpected argument "mcp"`},
		{[]string{"--dir", "nowhere"}, exitFailure, "--dir: open"},
		{[]string{"--dir", "main.go"}, exitFailure, "not a directory"},
		{[]string{"--listen", "nowhere"}, exitFailure, "nowhere"},
	} {
		var stderr bytes.Buffer
		if got := run(t.Context(), tt.args, nil, nil, &stderr); got != tt.want {
			t.Errorf("%q: status %d, want %d", tt.args, got, tt.want)
		}
		if !strings.Contains(stderr.String(), tt.text) {
			t.Errorf("%q: got %s, want %s in it", tt.args, &stderr, tt.text)
		}
	}
}
