package interop

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestGoSDKResume: a client whose event stream ends before the answer comes back with Last-Event-ID, whether the server
// ended the stream or the network. 2026-07-28 has no such thing.
func TestGoSDKResume(t *testing.T) {
	for _, revision := range revisions[1:] {
		t.Run(revision, func(t *testing.T) {
			t.Parallel()
			wire := &breakingWire{}
			c := connectEverything(t, &mcp.StreamableClientTransport{Endpoint: everything(t).url(), HTTPClient: &http.Client{Transport: wire}}, revision)
			if text, isError := c.run(t, &mcp.CallToolParams{Name: "test_reconnection"}); isError || !strings.Contains(text, "here is the answer") {
				t.Errorf("test_reconnection = %q", text)
			}
			// "Servers SHOULD ... send an SSE event consisting of an id and an empty string in its data field in order to
			// prime the client to reconnect", from 2025-11-25 on. Clients before it take empty data for a broken message,
			// so their stream stays open until the answer.
			if came := wire.resumed.Load(); (came > 0) != (revision == "2025-11-25") {
				t.Errorf("the client came back %d times", came)
			}

			wire.resumed.Store(0)
			wire.cut.Store(true)
			testProgressReports(t, c)
			if wire.cut.Load() || wire.resumed.Load() == 0 {
				t.Errorf("the stream was not cut (%v), or the client did not come back", wire.cut.Load())
			}
			if n := len(c.progress); n != 0 {
				t.Errorf("%d reports came twice", n)
			}
		})
	}
}

// breakingWire is HTTP that counts resumptions, and breaks the next event stream of a POST after its second event.
type breakingWire struct {
	cut     atomic.Bool
	resumed atomic.Int32
}

func (w *breakingWire) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet && req.Header.Get("Last-Event-ID") != "" {
		w.resumed.Add(1)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil && req.Method == http.MethodPost && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") &&
		w.cut.CompareAndSwap(true, false) {
		resp.Body = &cutBody{ReadCloser: resp.Body, events: 2}
	}
	return resp, err
}

// cutBody ends with an error after a number of events.
type cutBody struct {
	io.ReadCloser
	events int
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.events <= 0 {
		return 0, errors.New("connection reset by test")
	}
	n, err := b.ReadCloser.Read(p)
	for rest := p[:n]; b.events > 0; b.events-- {
		end := bytes.Index(rest, []byte("\n\n"))
		if end < 0 {
			return n, err
		}
		rest = rest[end+2:]
		if b.events == 1 {
			n -= len(rest)
		}
	}
	return n, nil
}
