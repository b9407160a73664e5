// Command gosdk is the official Go SDK (github.com/modelcontextprotocol/go-sdk) as a peer of the bench suite:
// Streamable HTTP on /mcp over net/http.
//
// It answers with application/json instead of an event stream per request, and it is stateless, so that a request
// touches no table of sessions: the two options of the SDK that a server of short calls chooses for speed. In this
// mode it speaks 2026-07-28 and, without sessions, 2025-11-25. With --stateful it keeps a session per client, which the
// SDK has for 2025-11-25 only. Everything else is the SDK's default.
package main

import (
	"flag"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"millrace/benchmarks/servers/gosdk/bench"
	"millrace/benchmarks/servers/probe"
)

func main() {
	stateful := flag.Bool("stateful", false, "keep sessions (2025-11-25 only)")
	listen, probeAddr := probe.Flags()
	flag.Parse()
	s := bench.NewServer()
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return s },
		&mcp.StreamableHTTPOptions{Stateless: !*stateful, JSONResponse: true},
	))
	probe.Serve(*listen, *probeAddr, mux)
}
