// Package server hosts an mcp.Server: it listens, carries messages over
// Streamable HTTP and WebSocket on one endpoint, or over stdio, and puts every
// request through one gate that authenticates, limits, finds sessions, and
// decides where the request runs.
//
// The shortest server:
//
//	s := mcp.NewServer(&mcp.Implementation{Name: "greeter", Version: "1.0.0"}, nil)
//	mcp.AddTool(s, &mcp.Tool{Name: "greet", Description: "say hi"}, greet)
//	log.Fatal(server.ListenAndServe("127.0.0.1:8080", s))
//
// Server has the knobs; like http.Server, its zero fields are sound defaults.
//
// # Goroutines
//
// Requests are read on event loops. What takes microseconds is answered there;
// tools run on the workers of a bounded pool, at most Server.Workers at a time,
// and a full pool answers "overloaded" at once. A tool's context ends with its
// deadline, with the client's cancellation or disconnection, and with the
// server.
package server
