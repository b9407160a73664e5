package interop

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestGoSDKEverything goes through all features with the go-sdk, in every revision and over every transport it has.
func TestGoSDKEverything(t *testing.T) {
	for _, revision := range revisions {
		t.Run("http/"+revision, func(t *testing.T) {
			t.Parallel()
			testEverything(t, connectEverything(t, &mcp.StreamableClientTransport{Endpoint: everything(t).url()}, revision))
		})
		t.Run("stdio/"+revision, func(t *testing.T) {
			t.Parallel()
			testEverything(t, connectEverything(t, everythingStdio(), revision))
		})
	}
	// HTTP+SSE is the transport of 2024-11-05; what is said over it may be newer.
	for _, revision := range []string{"2024-11-05", "2025-11-25"} {
		t.Run("sse/"+revision, func(t *testing.T) {
			t.Parallel()
			testEverything(t, connectEverything(t, &mcp.SSEClientTransport{Endpoint: everything(t).sseURL()}, revision))
		})
	}
}

func testEverything(t *testing.T, c *everyClient) {
	for _, feature := range []struct {
		name string
		test func(*testing.T, *everyClient)
	}{
		{"pages", testPages}, {"resources", testResources}, {"prompts", testPrompts}, {"completion", testCompletion},
		{"logging", testLogging}, {"progress", testProgressReports}, {"asking", testAsking}, {"url", testURL},
		{"roots", testRoots}, {"list changed", testListChanged}, {"subscription", testSubscription},
	} {
		t.Run(feature.name, func(t *testing.T) { feature.test(t, c) })
	}
}

// testPages walks lists of three entries a page.
func testPages(t *testing.T, c *everyClient) {
	first, err := c.ListTools(t.Context(), nil)
	if err != nil || len(first.Tools) != 3 || first.NextCursor == "" {
		t.Fatalf("the first page: %+v, %v, want three tools and a cursor", first, err)
	}
	tools := collect(t, c.Tools(t.Context(), nil), func(v *mcp.Tool) string { return v.Name })
	if len(tools) < 30 || tools[0] != "about" {
		t.Errorf("tools = %q", tools)
	}
	wantNames(t, tools, "test_simple_text", "visit_page")
	prompts := collect(t, c.Prompts(t.Context(), nil), func(v *mcp.Prompt) string { return v.Name })
	wantNames(t, prompts, "test_simple_prompt", "test_prompt_with_arguments")
	resources := collect(t, c.Resources(t.Context(), nil), func(v *mcp.Resource) string { return v.URI })
	wantNames(t, resources, "test://static-text", "test://static-binary", "test://watched-resource")
	templates := collect(t, c.ResourceTemplates(t.Context(), nil), func(v *mcp.ResourceTemplate) string { return v.URITemplate })
	wantNames(t, templates, "test://template/{id}/data")
	_, err = c.ListTools(t.Context(), &mcp.ListToolsParams{Cursor: "no such cursor"})
	wantCode(t, "a wrong cursor", err, jsonrpc.CodeInvalidParams)
}

// collect returns the names of what an iterator of the go-sdk yields.
func collect[T any](t *testing.T, seq iter.Seq2[T, error], name func(T) string) (names []string) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Errorf("after %d: %v", len(names), err)
			break
		}
		names = append(names, name(v))
	}
	if sorted := slices.Compact(slices.Sorted(slices.Values(names))); len(sorted) != len(names) {
		t.Errorf("listed twice: %q", names)
	}
	return names
}

func wantNames(t *testing.T, got []string, want ...string) {
	t.Helper()
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("%q is not in %q", name, got)
		}
	}
}

func wantCode(t *testing.T, what string, err error, code int64) {
	t.Helper()
	var wire *jsonrpc.Error
	if !errors.As(err, &wire) || wire.Code != code {
		t.Errorf("%s: %v, want a JSON-RPC error with code %d", what, err, code)
	}
}

func testResources(t *testing.T, c *everyClient) {
	read := func(uri string) *mcp.ResourceContents {
		t.Helper()
		res, err := c.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
		if err != nil || len(res.Contents) != 1 || res.Contents[0].URI != uri {
			t.Errorf("%s: %+v, %v, want one content with this URI", uri, res, err)
			return &mcp.ResourceContents{}
		}
		return res.Contents[0]
	}
	if got := read("test://static-text"); got.MIMEType != "text/plain" || got.Text != "This is the content of the static text resource." {
		t.Errorf("the text = %+v", got)
	}
	if got := read("test://static-binary"); got.MIMEType != "image/png" || !bytes.HasPrefix(got.Blob, []byte("\x89PNG")) {
		t.Errorf("the image = %+v", got)
	}
	if got := read("test://template/a%20b/data"); got.MIMEType != "application/json" || !strings.Contains(got.Text, "Data for ID: a b") {
		t.Errorf("the data = %+v", got)
	}
	// "Resource not found: -32002" (2025-11-25, server/resources), "-32602" from 2026-07-28 on.
	code := int64(-32002)
	if c.modern() {
		code = jsonrpc.CodeInvalidParams
	}
	_, err := c.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "test://nothing"})
	wantCode(t, "an unknown resource", err, code)
}

func testPrompts(t *testing.T, c *everyClient) {
	get := func(name string, args map[string]string) []string {
		t.Helper()
		res, err := c.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: name, Arguments: args})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return nil
		}
		var said []string
		for _, m := range res.Messages {
			switch content := m.Content.(type) {
			case *mcp.TextContent:
				said = append(said, content.Text)
			case *mcp.EmbeddedResource:
				said = append(said, content.Resource.URI+" "+content.Resource.Text)
			case *mcp.ImageContent:
				said = append(said, content.MIMEType)
			}
		}
		return said
	}
	for _, tt := range []struct {
		name string
		args map[string]string
		want []string
	}{
		{"test_simple_prompt", nil, []string{"This is a simple prompt for testing."}},
		{"test_prompt_with_arguments", map[string]string{"arg1": "a", "arg2": "ü"}, []string{"Prompt with arguments: arg1='a', arg2='ü'"}},
		{
			"test_prompt_with_embedded_resource", map[string]string{"resourceUri": "test://x"},
			[]string{"test://x Embedded resource content for testing.", "Please process the embedded resource above."},
		},
		{"test_prompt_with_image", nil, []string{"image/png", "Please analyze the image above."}},
	} {
		if got := get(tt.name, tt.args); !slices.Equal(got, tt.want) {
			t.Errorf("%s = %q, want %q", tt.name, got, tt.want)
		}
	}
	if c.revision >= "2025-06-18" { // elicitation begins
		if got := get("test_input_required_result_prompt", nil); !slices.Equal(got, []string{"Context: tests"}) {
			t.Errorf("the prompt that asks = %q", got)
		}
	}
	_, err := c.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "nothing"})
	wantCode(t, "an unknown prompt", err, jsonrpc.CodeInvalidParams)
	_, err = c.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "test_prompt_with_arguments"})
	wantCode(t, "missing arguments", err, jsonrpc.CodeInvalidParams)
}

func testCompletion(t *testing.T, c *everyClient) {
	for _, tt := range []struct {
		ref        *mcp.CompleteReference
		arg, value string
		want       []string
	}{
		{&mcp.CompleteReference{Type: "ref/prompt", Name: "test_prompt_with_arguments"}, "arg1", "test", []string{"testValue1", "testimony"}},
		{&mcp.CompleteReference{Type: "ref/prompt", Name: "test_prompt_with_arguments"}, "arg1", "x", []string{}},
		{&mcp.CompleteReference{Type: "ref/resource", URI: "test://template/{id}/data"}, "id", "12", []string{"12", "123"}},
	} {
		res, err := c.Complete(t.Context(), &mcp.CompleteParams{Ref: tt.ref, Argument: mcp.CompleteParamsArgument{Name: tt.arg, Value: tt.value}})
		if err != nil || !slices.Equal(res.Completion.Values, tt.want) || res.Completion.Total != len(tt.want) {
			t.Errorf("%s %q: %+v, %v, want %q", tt.arg, tt.value, res, err, tt.want)
		}
	}
}

// testLogging: a session chooses a level for all that follows, a request of 2026-07-28 for itself.
func testLogging(t *testing.T, c *everyClient) {
	run := func(level mcp.LoggingLevel) {
		t.Helper()
		params := &mcp.CallToolParams{Name: "test_tool_with_logging"}
		if c.modern() {
			params.Meta = mcp.Meta{mcp.MetaKeyLogLevel: string(level)}
		} else if err := c.SetLoggingLevel(t.Context(), &mcp.SetLoggingLevelParams{Level: level}); err != nil {
			t.Errorf("logging/setLevel: %v", err)
		}
		if text, isError := c.run(t, params); isError {
			t.Error(text)
		}
	}
	run("error")
	run("info")
	for _, want := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
		if m := await(t, c.logs, want); m == nil || m.Data != want || m.Level != "info" || m.Logger != "everything" {
			t.Errorf("message %+v, want %q", m, want)
		}
	}
	if n := len(c.logs); n != 0 {
		t.Errorf("%d messages too many: those at level error were not wanted", n)
	}
}

func testProgressReports(t *testing.T, c *everyClient) {
	params := &mcp.CallToolParams{Name: "test_tool_with_progress"}
	params.SetProgressToken("a token")
	if text, isError := c.run(t, params); isError || text != "done" {
		t.Error(text)
	}
	for _, want := range []float64{0, 50, 100} {
		p := await(t, c.progress, fmt.Sprint("progress ", want))
		if p == nil || p.ProgressToken != "a token" || p.Progress != want || p.Total != 100 {
			t.Errorf("progress %+v, want %v of 100", p, want)
		}
	}
}

// testAsking calls all tools that ask the client: with requests in a session, with input_required results on
// 2026-07-28, which the go-sdk answers through the same handlers.
func testAsking(t *testing.T, c *everyClient) {
	const always, elicitation, multi = "2024-11-05", "2025-06-18", "2025-11-25"
	for _, tt := range []struct {
		tool  string
		args  map[string]any
		since string
		want  string
	}{
		{"test_sampling", map[string]any{"prompt": "Why?"}, always, "LLM response: re: Why?"},
		{"test_missing_capability", nil, always, "re: Say hello."},
		{"test_input_required_result_sampling", nil, always, "m says: re: What is the capital of France?"},
		{"test_input_required_result_list_roots", nil, always, "1 roots: file:///work"},
		{"test_elicitation", map[string]any{"message": "Who?"}, elicitation, "User response: action: accept, content: map[email:a@example.com username:alice]"},
		{"test_elicitation_sep1034_defaults", nil, elicitation, "map[age:30 name:John Doe score:95.5 status:active verified:true]"},
		{
			"test_elicitation_sep1330_enums", nil, multi,
			"map[legacyEnum:opt3 titledMulti:[value1] titledSingle:value2 untitledMulti:[option1 option3] untitledSingle:option1]",
		},
		{"test_streaming_elicitation", nil, elicitation, "your user chose to accept"},
		{"test_input_required_result_elicitation", nil, elicitation, "Hello, Alice!"},
		{"test_input_required_result_multiple_inputs", nil, elicitation, "user_name: accept Alice; greeting: re: Generate a greeting; client_roots: file:///work"},
		{"test_input_required_result_multi_round", nil, elicitation, "Alice likes blue"},
		{"test_input_required_result_capabilities", nil, elicitation, "user_name: accept Alice; greeting: re: Generate a greeting; client_roots: file:///work"},
		{"test_input_required_result_request_state", nil, elicitation, "state-ok: I had asked for a confirmation, and your user chose to accept"},
		{"test_input_required_result_tampered_state", nil, elicitation, "state-ok"},
		{"confirm_delete", map[string]any{"filename": "a.txt"}, elicitation, "a.txt was deleted"},
		{"multi_input", nil, elicitation, "name: Alice, confirmed: true"},
		{"test_tool_with_task", nil, elicitation, "Hello, Alice, and thank you for waiting!"},
	} {
		text, isError := c.run(t, &mcp.CallToolParams{Name: tt.tool, Arguments: tt.args})
		switch {
		case c.revision < tt.since:
			if !isError {
				t.Errorf("%s = %q, want an error: %s has no such question", tt.tool, text, c.revision)
			}
		case isError || !strings.Contains(text, tt.want):
			t.Errorf("%s = %q (error %v), want %q", tt.tool, text, isError, tt.want)
		}
	}
}

// testURL: elicitation by URL, and the notification that it is done, which 2025-11-25 alone has.
func testURL(t *testing.T, c *everyClient) {
	text, isError := c.run(t, &mcp.CallToolParams{Name: "visit_page"})
	pages := c.takePages()
	if c.revision < "2025-11-25" {
		if !isError || len(pages) != 0 {
			t.Errorf("visit_page = %q, pages %v, want an error", text, pages)
		}
		return
	}
	if isError || text != "your user chose to accept the page" || len(pages) != 1 || pages[0].URL != "https://example.com/sign-in" {
		t.Fatalf("visit_page = %q (error %v), pages %+v", text, isError, pages)
	}
	if c.modern() {
		return
	}
	if id := await(t, c.completed, "elicitation/complete"); id == "" || id != pages[0].ElicitationID {
		t.Errorf("completed %q, want %q", id, pages[0].ElicitationID)
	}
}

// testRoots changes the roots. The client tells sessions of it.
func testRoots(t *testing.T, c *everyClient) {
	c.sdk.AddRoots(&mcp.Root{URI: "file:///more"})
	defer c.sdk.RemoveRoots("file:///more")
	text, _ := c.run(t, &mcp.CallToolParams{Name: "test_input_required_result_list_roots"})
	if !strings.Contains(text, "2 roots") || !strings.Contains(text, "file:///more") {
		t.Errorf("roots = %q", text)
	}
}

// testListChanged: sessions are told unasked, and on 2026-07-28 the go-sdk listens to what it has handlers for.
func testListChanged(t *testing.T, c *everyClient) {
	trigger := func(tool string) func() {
		return func() {
			if text, isError := c.run(t, &mcp.CallToolParams{Name: tool}); isError {
				t.Errorf("%s: %s", tool, text)
			}
		}
	}
	provoke(t, c.tools, "tools/list_changed", trigger("test_trigger_tool_change"))
	provoke(t, c.prompts, "prompts/list_changed", trigger("test_trigger_prompt_change"))
}

// testSubscription: resources/subscribe in a session, subscriptions/listen on 2026-07-28.
func testSubscription(t *testing.T, c *everyClient) {
	const uri = "test://watched-resource"
	if err := c.Subscribe(t.Context(), &mcp.SubscribeParams{URI: uri}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it changes every two seconds
		if got := await(t, c.updated, "resources/updated"); got != uri {
			t.Errorf("updated %q", got)
		}
	}
	if err := c.Unsubscribe(t.Context(), &mcp.UnsubscribeParams{URI: uri}); err != nil {
		t.Error(err)
	}
}
