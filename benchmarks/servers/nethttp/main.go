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
	"millrace/benchmarks/servers/work"
)

var (
	body   = []byte(work.Answer)
	length = strconv.Itoa(len(work.Answer))
)

func main() {
	secure := flag.Bool("tls", false, "speak TLS")
	listen, probeAddr := probe.Flags()
	flag.Parse()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mcp", serve)
	if *secure {
		probe.ServeTLS(*listen, *probeAddr, mux)
		return
	}
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
