// Command gosdkws is the official Go SDK behind github.com/coder/websocket, as a peer of the bench suite. The SDK has
// no WebSocket transport; this is the one that a user of both writes today: the upgrade on /mcp with the subprotocol
// mcp, one JSON-RPC message per text message, a session of the SDK per connection.
//
// Compression is off, the default of coder/websocket, and the limit of a message is raised to what the SDK takes over
// HTTP. Both revisions work on a connection: after initialize, or with the _meta of 2026-07-28.
package main

import (
	"context"
	"flag"
	"net/http"

	"github.com/coder/websocket"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"millrace/benchmarks/servers/gosdk/bench"
	"millrace/benchmarks/servers/probe"
)

const subprotocol = "mcp"

func main() {
	listen, probeAddr := probe.Flags()
	flag.Parse()
	s := bench.NewServer()
	mux := http.NewServeMux()
	mux.HandleFunc("/mcp", func(w http.ResponseWriter, r *http.Request) { serve(s, w, r) })
	probe.Serve(*listen, *probeAddr, mux)
}

// serve holds the goroutine of the request until the client has left.
func serve(s *mcp.Server, w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}})
	if err != nil {
		return // Accept has answered
	}
	if ws.Subprotocol() != subprotocol {
		_ = ws.Close(websocket.StatusPolicyViolation, "subprotocol mcp needed")
		return
	}
	ws.SetReadLimit(mcp.DefaultMaxRequestBodyBytes)
	// Not the context of the request: see http.Hijacker.
	session, err := s.Connect(context.Background(), transport{ws}, nil)
	if err != nil {
		_ = ws.CloseNow()
		return
	}
	// The error tells how the client left, which nobody wants to know here.
	_ = session.Wait()
}
