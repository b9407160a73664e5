package docs_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"millrace/server"
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
