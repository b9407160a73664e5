package docs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"

	"millrace/server"
	"millrace/server/mcp"
)

// meta is what every request of 2026-07-28 carries.
const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":`

// modern makes a request of 2026-07-28 from a client that can be asked. params
// are the members of its params.
func modern(id int, method, params string) string {
	return modernWith(id, method, params, `{"elicitation":{},"sampling":{},"roots":{}}}`)
}

// modernWith is modern with other capabilities, and more members of _meta.
func modernWith(id int, method, params, capabilities string) string {
	if params != "" {
		params += ","
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s%s%s}}`, id, method, params, meta, capabilities)
}

// session are the first messages of a client of 2025-11-25 that can be asked.
var session = []string{
	`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",` +
		`"capabilities":{"elicitation":{},"sampling":{},"roots":{}},"clientInfo":{"name":"docs","version":"1"}}}`,
	`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
}

// legacy makes a request of a session.
func legacy(id int, method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s}}`, id, method, params)
}

// noise is what the examples leave out of what they print.
var noise = regexp.MustCompile(`"jsonrpc":"2.0",|"resultType":"complete",|"_meta":\{"io.modelcontextprotocol/serverInfo":\{[^}]*\}\},|` +
	`,?"_meta":\{"io.modelcontextprotocol/serverInfo":\{[^}]*\}\}`)

// talk serves s over a pair of pipes and plays the client: it sends the messages
// one after the other and prints what the server sends, one message a line. After
// a request, and after an answer to one of the server's, it waits for a response
// or a request of the server.
func talk(s *mcp.Server, messages ...string) {
	client := dial(s)
	defer client.close()
	for i, m := range messages {
		client.send(m)
		quiet := strings.Contains(m, `"method":"notifications/`) ||
			strings.Contains(m, `"method":"initialize"`) && client.skip(m)
		if quiet {
			continue
		}
		for {
			line := client.read()
			fmt.Println(noise.ReplaceAllString(line, ""))
			if hasID(line) || strings.Contains(messages[i], mcp.MethodListen) {
				break
			}
		}
	}
}

// hasID tells a response or request from a notification.
func hasID(line string) bool {
	var m struct{ ID json.RawMessage }
	return json.Unmarshal([]byte(line), &m) == nil && m.ID != nil
}

// pipeClient is a client of a server on a pair of pipes.
type pipeClient struct {
	in   io.WriteCloser
	out  *bufio.Scanner
	done chan error
}

func dial(s *mcp.Server) *pipeClient {
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	c := &pipeClient{in: toServer, out: bufio.NewScanner(fromServer), done: make(chan error, 1)}
	c.out.Buffer(nil, 1<<20)
	srv := &server.Server{MCP: s, Logger: slog.New(slog.DiscardHandler)}
	go func() { c.done <- srv.RunStdio(context.Background(), fromClient, toClient) }()
	return c
}

func (c *pipeClient) send(m string) { fmt.Fprintln(c.in, m) }

func (c *pipeClient) read() string {
	c.out.Scan()
	return c.out.Text()
}

// skip reads the answer to initialize, which no example is about.
func (c *pipeClient) skip(string) bool {
	c.read()
	return true
}

// close ends the client's side, and the server with it.
func (c *pipeClient) close() {
	c.in.Close()
	go func() { // what is sent at the end is of no interest
		for c.out.Scan() {
		}
	}()
	if err := <-c.done; err != nil {
		fmt.Println("serve:", err)
	}
}

// show prints a message without what examples leave out.
func show(line string) { fmt.Println(noise.ReplaceAllString(line, "")) }

func replace(s, old, new string) string { return strings.ReplaceAll(s, old, new) }

// stateOf is the requestState of a result that asks.
func stateOf(line string) string {
	var m struct{ Result struct{ RequestState string } }
	_ = json.Unmarshal([]byte(line), &m)
	return m.Result.RequestState
}

// taskID is the id in the answer to a call that has become a task.
func (c *pipeClient) taskID(line string) string {
	var m struct{ Result struct{ TaskID string } }
	_ = json.Unmarshal([]byte(line), &m)
	return m.Result.TaskID
}
