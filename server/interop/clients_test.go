package interop

import "testing"

// demoChecks is what js/checks.mjs finds with the demo tools, whatever the client.
var demoChecks = []check{
	{"tools", `["add", "echo", "sleep"]`},
	{"echo", `[{"type": "text", "text": "Grüße, 世界 😀 \u2028"}]`},
	{"add", `{"types": ["text"], "structuredContent": {"sum": 1.5}}`},
	{"long", `true`},
	{"progress", `{"some": true, "rising": true, "isError": false}`},
	{"bad arguments", `true`},
	{"unknown tool", `{"error": {"name": "...", "code": -32602, "message": "..."}}`},
	{"50 at once", `50`},
}

// closing follows them: the cancelled call ended in the server, and the client saw nothing it could not make sense of.
var closing = []check{
	{"cancel", `{"before": "running", "call": "rejected", "after": "cancelled"}`},
	{"close", `"closed"`},
	{"errors", `[]`},
}

func join(parts ...[]check) []check {
	var all []check
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func TestSDKHTTP(t *testing.T) {
	t.Parallel()
	checks := join([]check{
		{"server", `{"name": "...", "tools": true}`},
		{"session", `{"id": "string", "version": "2025-11-25"}`},
	}, demoChecks, []check{{"ping", `{}`}}, closing)
	runScript(t, "sdk.mjs", checks, "http", daemon.url(), fixtureURL(t))
}

func TestSDKWebSocket(t *testing.T) {
	for _, implementation := range []string{"ws", "ws-undici"} {
		t.Run(implementation, func(t *testing.T) {
			t.Parallel()
			fixtureURL(t)
			checks := join([]check{
				{"server", `{"name": "...", "tools": true}`},
				{"subprotocol", `"mcp"`},
			}, demoChecks, []check{{"ping", `{}`}}, closing)
			runScript(t, "sdk.mjs", checks, implementation, daemon.wsURL(), fixture.wsURL())
		})
	}
}

func TestClient(t *testing.T) {
	for _, tt := range []struct{ mode, server string }{
		{"legacy", `{"name": "...", "version": "2025-11-25", "era": "legacy"}`},
		{"auto", `{"name": "...", "version": "2026-07-28", "era": "modern"}`},
		{modern, `{"name": "...", "version": "2026-07-28", "era": "modern"}`},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			t.Parallel()
			checks := join([]check{{"server", tt.server}}, demoChecks, closing)
			runScript(t, "client.mjs", checks, tt.mode, daemon.url(), fixtureURL(t))
		})
	}
}
