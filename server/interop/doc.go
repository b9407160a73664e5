// Package interop runs MCP clients that others wrote against the real daemon, and the official conformance suite
// against a server built on the public API.
//
//   - go-sdk: Streamable HTTP and stdio, in both eras; its server examples, compiled against millrace, and the names they use.
//   - @modelcontextprotocol/sdk 1.x (Streamable HTTP, WebSocket), @modelcontextprotocol/client 2.x, the inspector's CLI.
//   - The curl examples of the README, compared with the output it shows.
//   - @modelcontextprotocol/conformance: the server scenarios that need tools alone, or nothing.
//
// The package holds tests only. It is a module of its own, so that none of these clients is a dependency of millrace.
// The npm packages are installed by the tests (npm ci, from the committed lockfile). Without npm their tests are
// skipped, with a notice at the end of the run; with CI set in the environment they fail instead.
package interop
