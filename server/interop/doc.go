// Package interop runs MCP clients that others wrote against the real daemon, and against cmd/everything, which has all
// features.
//
//   - go-sdk: Streamable HTTP, stdio and HTTP+SSE, in both eras; its server examples, compiled against millrace, and the names they use.
//   - @modelcontextprotocol/sdk 1.x: Streamable HTTP, WebSocket (of ws and of undici), HTTP+SSE.
//   - @modelcontextprotocol/client 2.x: Streamable HTTP, stdio, HTTP+SSE; with ext-tasks, the tasks extension.
//   - The inspector's two command lines: one request (--cli), and one connection with many commands (mcpdo).
//   - The curl examples of the README, compared with the output it shows.
//
// The package holds tests only. It is a module of its own, so that none of these clients is a dependency of millrace.
// The npm packages are installed by the tests (npm ci, from the committed lockfile). Without npm their tests are
// skipped, with a notice at the end of the run; with CI set in the environment they fail instead.
package interop
