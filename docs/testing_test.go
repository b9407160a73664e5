package docs_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"millrace/server"
	"millrace/server/mcp"
	"millrace/server/mcptest"
)

// TestConvert calls a tool through the whole server, without a network.
func TestConvert(t *testing.T) {
	s := newServer()
	addConvert(s)
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"convert","arguments":{"celsius":100},` +
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	var out bytes.Buffer
	srv := &server.Server{MCP: s}
	if err := srv.RunStdio(context.Background(), strings.NewReader(call+"\n"), &out); err != nil {
		t.Fatal(err)
	}
	if want := `"structuredContent":{"fahrenheit":212}`; !strings.Contains(out.String(), want) {
		t.Errorf("answer %s, want %s in it", &out, want)
	}
}

// TestBook tests a tool that asks, with a client in memory, in every revision
// that has elicitation.
func TestBook(t *testing.T) {
	s := newServer()
	mcp.AddTool(s, &mcp.Tool{Name: "book"}, book)
	for _, version := range []string{mcp.Version20250618, mcp.Version20251125, mcp.Version20260728} {
		c := mcptest.NewClient(t, s, &mcptest.Options{
			Version: version,
			Elicit: func(*mcp.ElicitParams) *mcp.ElicitResult {
				return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"date": "2026-12-24"}}
			},
		})
		res := c.CallTool("book", map[string]any{"city": "Oslo"})
		if got, want := mcptest.Text(res), "Booked Oslo from 2026-12-24 on."; got != want {
			t.Errorf("%s: book = %q, want %q", version, got, want)
		}
	}
}

// TestReport tests a task of an hour in no time.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		addReport(s)
		c := mcptest.NewClient(t, s, &mcptest.Options{Tasks: true})
		if got, want := mcptest.Text(c.CallTool("report", nil)), "the report"; got != want {
			t.Errorf("report = %q, want %q", got, want)
		}
	})
}

// TestConvertOutput looks at what a tool returns for programs.
func TestConvertOutput(t *testing.T) {
	s := newServer()
	addConvert(s)
	c := mcptest.NewClient(t, s, nil)
	res := c.CallTool("convert", map[string]any{"celsius": 100})
	if got := mcptest.Output[convertResult](t, res); got.Fahrenheit != 212 {
		t.Errorf("convert = %+v, want 212", got)
	}
	if res := c.CallTool("convert", map[string]any{"celsius": "hot"}); !res.IsError {
		t.Error("convert takes a text")
	}
}
