// Package mcp is the Model Context Protocol for people who write tools, and
// the engine that answers clients, in all revisions from 2024-11-05 to
// 2026-07-28. It has no sockets and starts no goroutines for calls: a host
// (package server, or a test) hands it requests that passed its gate and gets
// back encoded responses.
//
// Tool authors need NewServer, AddTool and the types of content:
//
//	s := mcp.NewServer(&mcp.Implementation{Name: "greeter", Version: "1.0.0"}, nil)
//	mcp.AddTool(s, &mcp.Tool{Name: "greet", Description: "say hi"}, greet)
//
// The names, fields and signatures are those of
// github.com/modelcontextprotocol/go-sdk/mcp, so that tools move by a change of
// the import.
//
// A host drives Server.Plan, which says where a call should run, and
// Server.Serve, which runs it. The legacy era (up to 2025-11-25) has sessions,
// opened by initialize; in the stateless era every request says in _meta what
// it needs. What a client is sent follows the schema of its revision: members
// that a revision does not define are left out.
package mcp
