package interop

import "testing"

// featureChecks is what js/features.mjs finds, whatever the client, in a session and on 2026-07-28. notFound is the
// code of an unknown resource.
func featureChecks(modern bool, notFound string) []check {
	completed := "true"
	if modern {
		completed = "null" // there is no such notification
	}
	return []check{
		{"pages", `{"first": "about", "once": true, "many": true, "pages": "..."}`},
		{"lists", `[]`},
		{"read", `["This is the content of the static text resource.", "iVBORw", "Data for ID: a b"]`},
		{"unknown", `[` + notFound + `, -32602, -32602]`},
		{"prompts", `[["This is a simple prompt for testing."], ["Prompt with arguments: arg1='a', arg2='ü'"],
			["test://x", "Please process the embedded resource above."], ["image/png", "Please analyze the image above."], ["Context: tests"]]`},
		{"completion", `[["testValue1", "testimony"], [], ["12", "123"]]`},
		{"logging", `{"messages": [{"level": "info", "logger": "everything", "data": "Tool execution started"},
			{"level": "info", "logger": "everything", "data": "Tool processing data"},
			{"level": "info", "logger": "everything", "data": "Tool execution completed"}], "more": 0}`},
		{"progress", `{"reports": [[0, 100], [50, 100], [100, 100]], "text": "done"}`},
		{"test_sampling", `"LLM response: re: Why?"`},
		{"test_missing_capability", `"re: Say hello."`},
		{"test_input_required_result_sampling", `"m says: re: What is the capital of France?"`},
		{"test_input_required_result_list_roots", `"1 roots: file:///work"`},
		{"test_elicitation", `"User response: action: accept, content: map[email:a@example.com username:alice]"`},
		{"test_elicitation_sep1034_defaults", `"Elicitation completed: action=accept, content=map[age:30 name:John Doe score:95.5 status:active verified:true]"`},
		{
			"test_elicitation_sep1330_enums",
			`"Elicitation completed: action=accept, content=map[legacyEnum:opt3 titledMulti:[value1] titledSingle:value2 untitledMulti:[option1 option3] untitledSingle:option1]"`,
		},
		{"test_streaming_elicitation", `"your user chose to accept"`},
		{"test_input_required_result_elicitation", `"Hello, Alice!"`},
		{"test_input_required_result_multiple_inputs", `"user_name: accept Alice; greeting: re: Generate a greeting; client_roots: file:///work"`},
		{"test_input_required_result_multi_round", `"Alice likes blue; it took a moment"`},
		{"test_input_required_result_request_state", `"state-ok: I had asked for a confirmation, and your user chose to accept"`},
		{"test_input_required_result_tampered_state", `"state-ok: I had asked for a confirmation, and your user chose to accept"`},
		{"confirm_delete", `"a.txt was deleted (not really)"`},
		{"multi_input", `"name: Alice, confirmed: true"`},
		{"test_tool_with_task", `"Hello, Alice, and thank you for waiting!"`},
		{"url", `{"text": "your user chose to accept the page", "url": "https://example.com/sign-in", "completed": ` + completed + `}`},
		{"roots", `"2 roots: file:///work, file:///more"`},
		{"list changed", `[true, true]`},
		{"subscription", `["test://watched-resource", "test://watched-resource"]`},
	}
}

func TestSDKEverything(t *testing.T) {
	const undeclared = `[true, "the client cannot be asked: it has not declared the capability that sampling/createMessage needs", "you cannot be asked anything"]`
	for _, carrier := range []string{"http", "ws", "ws-undici", "sse"} {
		t.Run(carrier, func(t *testing.T) {
			t.Parallel()
			needNPM(t)
			p := everything(t)
			url := map[string]string{"http": p.url(), "sse": p.sseURL()}[carrier]
			checks := featureChecks(false, "-32002")
			if url == "" {
				url = p.wsURL()
			}
			if carrier == "http" {
				checks = join(checks, []check{
					{"reconnection", `{"text": "here is the answer that you came back for", "tokens": true}`},
					{"resumption", `"computed pi for 2s"`},
				})
			}
			runScript(t, "sdk-features.mjs", join(checks, []check{{"nothing declared", undeclared}, {"errors", `[]`}}), carrier, url)
		})
	}
}

func TestClientEverything(t *testing.T) {
	server := func(revision string) check {
		return check{"server", `{"name": "everything", "version": "` + revision + `"}`}
	}
	// The client makes the code of 2026-07-28 of ours in sessions, -32002.
	legacyChecks := join([]check{server("2025-11-25")}, featureChecks(false, "-32602"), []check{
		{"nothing declared", `["the client cannot be asked: it has not declared the capability that sampling/createMessage needs", "you cannot be asked anything"]`},
		{"errors", `[]`},
	})
	modernChecks := join([]check{server(modern), {"listen", `{"toolsListChanged": true, "promptsListChanged": true}`}}, featureChecks(true, "-32602"), []check{
		{"unlisten", `"local"`},
		{"by hand", `["input_required", "elicitation/create", "state-ok: I had asked for a confirmation, and your user chose to decline", -32602]`},
		{"nothing declared", `[-32021, "you cannot be asked anything"]`},
		{"errors", `[]`},
	})
	for _, mode := range []string{"legacy", "auto", modern} {
		checks := modernChecks
		if mode == "legacy" {
			checks = legacyChecks
		}
		t.Run(mode+"/http", func(t *testing.T) {
			t.Parallel()
			needNPM(t)
			runScript(t, "client-features.mjs", checks, mode, "http", everything(t).url())
		})
		t.Run(mode+"/stdio", func(t *testing.T) {
			t.Parallel()
			runScript(t, "client-features.mjs", checks, mode, "stdio", everyBin, "--stdio", "--page", "3", "--log-level", "error")
		})
	}
	t.Run("legacy/sse", func(t *testing.T) {
		t.Parallel()
		needNPM(t)
		runScript(t, "client-features.mjs", legacyChecks, "legacy", "sse", everything(t).sseURL())
	})
}

// TestTasks: the tasks extension (SEP-2663) with its official client.
func TestTasks(t *testing.T) {
	t.Parallel()
	needNPM(t)
	runScript(t, "tasks.mjs", []check{
		{"capabilities", `{"inventory": "known-handles", "execution": true, "cancellation": true, "inputResponses": true, "requestedRetention": false}`},
		{"immediate", `{"kind": "immediate", "input": false, "status": "completed", "text": "Hello, Ada!", "isError": false, "code": null}`},
		{"task", `{"kind": "task", "input": false, "status": "completed", "text": "computed pi for 300ms", "isError": false, "code": null}`},
		{"tool error", `{"kind": "task", "input": false, "status": "completed", "text": "the job failed, as it always does", "isError": true, "code": null}`},
		{"protocol error", `{"kind": "task", "input": false, "status": "failed", "text": null, "isError": false, "code": -32603}`},
		{"input", `{"kind": "task", "input": true, "status": "completed", "text": "a.txt was deleted (not really)", "isError": false, "code": null}`},
		{"inputs", `{"kind": "task", "input": true, "status": "completed", "text": "name: Alice, confirmed: true", "isError": false, "code": null}`},
		{"input, then task", `{"kind": "task", "input": false, "status": "completed", "text": "Hello, Alice, and thank you for waiting!", "isError": false, "code": null}`},
		{"cancel", `["working", "cancelled"]`},
		{"recovery", `"computed tau for 1s"`},
		{"unknown task", `-32602`},
	}, everything(t).url())
}
