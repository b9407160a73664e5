package interop

import (
	"context"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sseTransport opens the event stream for as long as the test takes: that of the go-sdk ends with the context of
// Connect, which here has a time limit of its own.
type sseTransport struct {
	mcp.SSEClientTransport
	ctx context.Context
}

func (s *sseTransport) Connect(context.Context) (mcp.Connection, error) {
	return s.SSEClientTransport.Connect(s.ctx)
}

// TestGoSDKSSE: the go-sdk's client of HTTP+SSE, the transport of 2024-11-05.
func TestGoSDKSSE(t *testing.T) {
	for _, revision := range revisions[1:] {
		t.Run(revision, func(t *testing.T) {
			stream := &sseTransport{mcp.SSEClientTransport{Endpoint: "http://" + daemon.addr + "/sse"}, t.Context()}
			testSession(t, connect(t, stream, revision), revision)
		})
	}
}
