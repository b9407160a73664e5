// Command nethttp is no MCP server but the floor of one on net/http: it reads the whole body of a POST and answers
// with fixed bytes. What a server on net/http costs above it is its own work; one that costs less than this cannot be
// on net/http.
package main

import (
	"flag"
	"io"
	"net/http"
	"strconv"

	"millrace/benchmarks/servers/probe"
)

// answer has the size and the form of an answer to the suite's call of echo; the server floor has the same.
const answer = `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[{"type":"text",` +
	`"text":"00000000 fifty bytes of text, as an agent would se"}],"_meta":` +
	`{"io.modelcontextprotocol/serverInfo":{"name":"bench","version":"1.0.0"}}}}`

var (
	body   = []byte(answer)
	length = strconv.Itoa(len(answer))
)

func main() {
	listen, probeAddr := probe.Flags()
	flag.Parse()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mcp", serve)
	probe.Serve(*listen, *probeAddr, mux)
}

func serve(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", length)
	// The client may be gone; that is its own affair.
	_, _ = w.Write(body)
}
