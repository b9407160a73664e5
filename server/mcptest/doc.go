// Package mcptest calls an mcp.Server in memory, for the tests of people who
// write tools: no socket, no port, no goroutine that outlives the test.
//
//	c := mcptest.NewClient(t, s, nil)
//	res := c.CallTool("greet", map[string]any{"name": "Bob"})
//	if got := mcptest.Text(res); got != "Hi Bob" {
//		t.Errorf("greet = %q", got)
//	}
//
// A Client behaves as a client of its revision over a real server does. On
// 2026-07-28 every request says what the client can do, a result that asks for
// input is answered with the functions in Options, and the request is repeated
// with its requestState; a call that becomes a task is followed with tasks/get
// and tasks/update. Up to 2025-11-25 the client is an initialized session, and
// answers the requests that the server sends it meanwhile. Handlers see what
// they would see in production: arguments, results and errors are encoded and
// decoded on the way, time limits hold, tools of ClassInline have no way back
// to the client, and what must not be sent to a revision is not.
//
// What is not there is the network in front of it: authentication (see
// Options.Principal), headers, limits of connections and sessions.
//
// # Goroutines and time
//
// Handlers run on goroutines of the client. When the test is over they are
// cancelled and waited for; a handler that does not heed its context then fails
// the test. Nothing sleeps but the polling of a task, which begins with
// milliseconds whatever the server asks for and ends at once with the handler.
// Everything works within a bubble of testing/synctest, with a client made
// there: tools that wait for minutes are then tested in no time, and
// synctest.Wait makes sure that what is going to happen has happened.
package mcptest
