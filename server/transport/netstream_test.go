package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// netScript is a Dispatcher for requests that come at once.
type netScript struct {
	arrived chan Stream   // of every request, detached
	links   chan *Link    // of every request, before arrived
	closed  chan struct{} // gets a value for every Closed
	drained chan *Link
}

func newNetScript() *netScript {
	return &netScript{make(chan Stream, 16), make(chan *Link, 16), make(chan struct{}, 16), make(chan *Link, 16)}
}

func (d *netScript) Opened(*Link)        {}
func (d *netScript) Drain(l *Link)       { d.drained <- l }
func (d *netScript) Closed(*Link, error) { d.closed <- struct{}{} }

func (d *netScript) Dispatch(r *Request, _ Stream) {
	r, s := r.Detach(false)
	r.Release()
	d.links <- r.Link
	d.arrived <- s
}

// serveNet serves an HTTPHandler over sockets: HTTP/1.1 and HTTP/2.
func serveNet(t *testing.T, cfg Config, f func(t *testing.T, srv *httptest.Server, h *HTTPHandler, d *netScript)) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			d := newNetScript()
			h := NewHTTPHandler(cfg, d)
			srv := httptest.NewUnstartedServer(h)
			if srv.EnableHTTP2 = version == "HTTP/2.0"; srv.EnableHTTP2 {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()
			f(t, srv, h, d)
		})
	}
}

// postNet sends a POST and returns when the head of the answer is there.
func postNet(ctx context.Context, srv *httptest.Server) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", srv.URL, strings.NewReader(ping))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return srv.Client().Do(req)
}

func TestNetHTTPStream(t *testing.T) {
	serveNet(t, Config{}, func(t *testing.T, srv *httptest.Server, _ *HTTPHandler, d *netScript) {
		go func() { (<-d.arrived).Send(Event{ID: "e1", Data: []byte(note)}) }()
		resp, err := postNet(t.Context(), srv)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		in := bufio.NewScanner(resp.Body)
		for _, want := range []string{"id: e1", "data: " + note, ""} { // they are here before there is an answer
			if in.Scan(); in.Text() != want {
				t.Errorf("line %q, want %q", in.Text(), want)
			}
		}
		if resp.Proto != t.Name()[strings.Index(t.Name(), "/")+1:] {
			t.Errorf("over %s", resp.Proto)
		}
	})
}

// deadlineWriter is a ResponseWriter that keeps the deadline it was given last.
type deadlineWriter struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (w *deadlineWriter) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

// net/http writes the end of an event stream, which must not wait for ever either.
func TestNetHTTPLastWrite(t *testing.T) {
	d := newNetScript()
	h := NewHTTPHandler(Config{}, d)
	w := &deadlineWriter{ResponseRecorder: httptest.NewRecorder()}
	req := httptest.NewRequest("POST", "/", strings.NewReader(ping))
	req.Header.Set("Content-Type", "application/json")
	go func() {
		s := <-d.arrived
		notify(s, []byte(note))
		s.Respond(Response{Status: 200})
	}()
	h.ServeHTTP(w, req)
	if !strings.Contains(w.Body.String(), note) || w.deadline.IsZero() {
		t.Errorf("body %q, deadline %v", w.Body.String(), w.deadline)
	}
}

// The client that closes its response stream is told of as a closed Link, and
// what is said to it afterwards is lost.
func TestNetHTTPDisconnect(t *testing.T) {
	serveNet(t, Config{}, func(t *testing.T, srv *httptest.Server, h *HTTPHandler, d *netScript) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			resp, err := postNet(ctx, srv)
			if err == nil {
				resp.Body.Close()
			}
			done <- err
		}()
		s := <-d.arrived
		cancel()
		<-d.closed
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("client: %v", err)
		}
		if notify(s, []byte(note)) {
			t.Error("Notify after a disconnect = true, want false")
		}
		s.Respond(ok(pong))
		s.End()
		h.Drain()
		if err := h.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v", err)
		}
	})
}

// A silent POST becomes an event stream, and shows life from then on.
func TestNetHTTPComments(t *testing.T) {
	cfg := Config{SilentFor: time.Millisecond, CommentEvery: time.Millisecond}
	serveNet(t, cfg, func(t *testing.T, srv *httptest.Server, _ *HTTPHandler, d *netScript) {
		resp, err := postNet(t.Context(), srv)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		in := bufio.NewReader(resp.Body)
		for range 3 {
			if line, err := in.ReadString('\n'); line != ": \n" || err != nil {
				t.Fatalf("line %q, %v, want a comment", line, err)
			}
			in.ReadString('\n')
		}
		(<-d.arrived).Respond(ok(pong))
		rest, err := io.ReadAll(in)
		if !strings.HasSuffix(string(rest), "data: "+pong+"\n\n") || err != nil {
			t.Errorf("the stream ends with %q, %v", rest, err)
		}
	})
}

// What is said when a POST has been silent for long comes first, and once.
func TestNetHTTPOnSilence(t *testing.T) {
	w := httptest.NewRecorder()
	s := newNetStream(NewHTTPHandler(Config{}, &script{}), w, httptest.NewRequest("POST", "/", http.NoBody))
	s.OnSilence(func() { s.Send(Event{ID: "e0", Keep: true}) })
	s.alive()
	s.flush()
	s.alive()
	s.flush()
	s.Respond(ok(pong))
	s.serve(t.Context())
	s.close()
	s.alive()
	if got, want := w.Body.String(), "id: e0\ndata: \n\n: \n\ndata: "+pong+"\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// No comment makes an event stream of an answer that will carry a session id, or
// of one for a client that takes none.
func TestNetHTTPStaysSilent(t *testing.T) {
	for name, field := range map[string]string{"held": "*/*", "json only": "application/json"} {
		r := httptest.NewRequest("POST", "/", http.NoBody)
		r.Header.Set("Accept", field)
		w := httptest.NewRecorder()
		s := newNetStream(NewHTTPHandler(Config{}, &script{}), w, r)
		if name == "held" {
			s.Hold()
		}
		s.alive()
		if s.flush() {
			t.Errorf("%s: flush reports the end", name)
		}
		answer := ok(pong)
		answer.SessionID = "s1"
		s.Respond(answer)
		s.serve(t.Context())
		s.close()
		if h := w.Result().Header; h.Get("Content-Type") != "application/json" || h.Get("Mcp-Session-Id") != "s1" || w.Body.String() != pong {
			t.Errorf("%s: %v %s", name, h, w.Body)
		}
	}
}

func TestNetHTTPDrain(t *testing.T) {
	serveNet(t, Config{}, func(t *testing.T, srv *httptest.Server, h *HTTPHandler, d *netScript) {
		var first sync.WaitGroup
		first.Go(func() {
			resp, err := postNet(t.Context(), srv)
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("the request in flight: %v, %v", resp, err)
				return
			}
			resp.Body.Close()
		})
		s, l := <-d.arrived, <-d.links
		if open, total := h.Stats(); open != 1 || total != 1 {
			t.Errorf("%d of %d open, want 1 of 1", open, total)
		}
		h.Drain()
		h.Drain()
		if got := <-d.drained; got != l || len(d.drained) != 0 {
			t.Errorf("drained %v and %d more, want %v once", got, len(d.drained), l)
		}
		resp, err := postNet(t.Context(), srv)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" {
			t.Errorf("a late request: %d, %v", resp.StatusCode, resp.Header)
		}
		s.Respond(ok(pong))
		if err := h.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v", err)
		}
		first.Wait()
	})
}

// What a drain does not wait for is cut: the client must not take it for an
// answer.
func TestNetHTTPCut(t *testing.T) {
	serveNet(t, Config{}, func(t *testing.T, srv *httptest.Server, h *HTTPHandler, d *netScript) {
		done := make(chan error, 1)
		go func() {
			resp, err := postNet(t.Context(), srv)
			if err == nil {
				resp.Body.Close()
			}
			done <- err
		}()
		<-d.arrived
		h.Drain()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Wait(ctx); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "1 requests were cut") {
			t.Errorf("Wait: %v", err)
		}
		if err := <-done; err == nil {
			t.Error("a request that was cut got an answer")
		}
		<-d.closed
	})
}

// A client that does not read loses what may be lost, and nothing else.
func TestNetHTTPSlowReader(t *testing.T) {
	h := NewHTTPHandler(Config{}, &script{})
	w := httptest.NewRecorder()
	s := newNetStream(h, w, httptest.NewRequest("POST", "/", http.NoBody))
	big := []byte(`"` + strings.Repeat("x", netQueue) + `"`)
	if !notify(s, big) {
		t.Error("the first event = false: an empty queue takes any")
	}
	if notify(s, []byte(note)) {
		t.Error("an event behind a full queue = true, want it lost")
	}
	if !s.Send(Event{Data: []byte(note), Keep: true}) {
		t.Error("an event to keep = false")
	}
	s.Respond(ok(pong))
	s.serve(t.Context())
	s.close()
	if got := w.Body.String(); got != "data: "+string(big)+"\n\ndata: "+note+"\n\ndata: "+pong+"\n\n" {
		t.Errorf("%d bytes", len(got))
	}
}
