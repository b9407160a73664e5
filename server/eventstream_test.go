package server

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"millrace/server/mcp"
)

// TestCloseStream: only a client of 2025-11-25 has an id to come back with, and
// is told when. The stream of others stays open for the answer.
func TestCloseStream(t *testing.T) {
	s := mcp.NewServer(&mcp.Implementation{Name: "x"}, nil)
	again := make(chan struct{}, 1)
	mcp.AddTool(s, &mcp.Tool{Name: "away"}, func(_ context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		text := "stayed"
		if req.CloseStream(7 * time.Millisecond) {
			<-again
			text = "came back"
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
	})
	r := serve(t, &Server{MCP: s})
	call := func(version string) (session, got string) {
		session = "Mcp-Session-Id: " + r.initialize(version)
		resp, err := r.open(t.Context(), "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"away"}}`, session)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("%s: %v", version, err)
		}
		return session, string(raw)
	}
	for _, version := range []string{mcp.Version20250618, mcp.Version20250326, mcp.Version20241105} {
		if _, got := call(version); !strings.Contains(got, "stayed") {
			t.Errorf("%s: %q, want the answer", version, got)
		}
	}
	for range 20 { // the answer comes at any time around the client's coming back
		session, got := call(mcp.Version20251125)
		_, id, primed := strings.Cut(got, "id: ")
		if !primed || !strings.Contains(got, "retry: 7\n") || strings.Contains(got, "jsonrpc") {
			t.Fatalf("%q, want an id and retry alone", got)
		}
		id, _, _ = strings.Cut(id, "\n")
		again <- struct{}{}
		if back := r.do("GET", "", session, "Last-Event-ID: "+id); !strings.Contains(back.body(), "came back") {
			t.Errorf("%q after coming back, want the answer", back.body())
		}
	}
}
