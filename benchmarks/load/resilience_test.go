package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

// passes returns whether all checks that fill adds are ok.
func passes(fill func(*Report)) bool {
	r := &Report{}
	fill(r)
	return r.passed()
}

func steadyWith(d time.Duration) *steady {
	s := &steady{latency: newStopwatch()}
	for range 100 {
		s.latency.record(d)
	}
	return s
}

func TestCompareP99(t *testing.T) {
	for _, tt := range []struct {
		before, during time.Duration
		judged, want   bool
	}{
		{time.Millisecond, 10 * time.Millisecond, true, true},
		{time.Millisecond, 15 * time.Millisecond, true, false},
		{time.Millisecond, 15 * time.Millisecond, false, true},
		{40 * time.Millisecond, 75 * time.Millisecond, true, true},
		{40 * time.Millisecond, 90 * time.Millisecond, true, false},
	} {
		got := passes(func(r *Report) { compareP99(r, "R0", "p99", tt.judged, steadyWith(tt.before), steadyWith(tt.during)) })
		if got != tt.want {
			t.Errorf("%v after %v, judged %v: %v, want %v", tt.during, tt.before, tt.judged, got, tt.want)
		}
	}
}

func TestPerIdle(t *testing.T) {
	const n = 100
	for _, tt := range []struct {
		name         string
		rss, heap    int64 // each
		judged, want bool
	}{
		{"small", 5 << 10, 3 << 10, true, true},
		{"large heap", 5 << 10, 9 << 10, false, false},
		{"large RSS", 9 << 10, 3 << 10, true, false},
		{"large RSS of a short run", 9 << 10, 3 << 10, false, true},
	} {
		before := idleReading{rss: 20 << 20, heap: 4 << 20}
		after := idleReading{rss: before.rss + n*tt.rss, heap: before.heap + n*tt.heap}
		if got := passes(func(r *Report) { perIdle(r, "x", tt.judged, n, before, after) }); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if n, err := idleCount(100); err != nil || n != 100 {
		t.Errorf("idleCount(100) = %d, %v", n, err)
	}
	if n, err := idleCount(1 << 40); err != nil || n <= 0 || n >= 1<<40 {
		t.Errorf("idleCount(huge) = %d, %v, want what the limit allows", n, err)
	}
}

func TestCheckOverloaded(t *testing.T) {
	const modern = `{"jsonrpc":"2.0","id":1,"error":{"code":-31000,"message":"x","data":{"type":"overloaded","retryAfterMs":1000}}}`
	for _, tt := range []struct {
		msg  string
		era  client.Era
		want bool
	}{
		{modern, client.Modern, true},
		{modern, client.Legacy, false},
		{strings.Replace(modern, "-31000", "-32000", 1), client.Legacy, true},
		{strings.Replace(modern, "1000}", "0}", 1), client.Modern, false},
		{strings.Replace(modern, `"type":"overloaded",`, "", 1), client.Modern, false},
		{`{`, client.Modern, false},
	} {
		if err := checkOverloaded(tt.era, []byte(tt.msg)); (err == nil) != tt.want {
			t.Errorf("%s for %s: %v", tt.msg, tt.era, err)
		}
	}
}

// answering accepts connections, writes text on each and then closes it, unless text is empty.
func answering(t *testing.T, text string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}()
	return ln.Addr().String()
}

func TestTurnedAway(t *testing.T) {
	const good = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
	for _, tt := range []struct {
		text string
		want bool
	}{
		{good, true},
		{strings.Replace(good, "503", "200", 1), false},
		{strings.Replace(good, "Retry-After: 1\r\n", "", 1), false},
		{strings.Replace(good, "Connection: close\r\n", "", 1), false},
		{"", false},
	} {
		if took, err := turnedAway(t.Context(), answering(t, tt.text)); (err == nil) != tt.want || took <= 0 {
			t.Errorf("%q: %v, %v", tt.text, took, err)
		}
	}
}

func TestStrangerWebSocket(t *testing.T) {
	refusal := "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
	if took, err := strangerWebSocket(t.Context(), answering(t, refusal), "/mcp"); err != nil || took > silentTime {
		t.Errorf("refused with 401: %v, %v", took, err)
	}
	if _, err := strangerWebSocket(t.Context(), answering(t, strings.Replace(refusal, "401", "403", 1)), "/mcp"); err == nil {
		t.Error("refused with 403: no error")
	}
}

func TestBadTokens(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.HasPrefix(req.Header.Get("Authorization"), "Bearer ") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer srv.Close()
	p := daemon.Attach(strings.TrimPrefix(srv.URL, "http://"), "", 0)
	f := &tokenFlood{path: "/mcp", rate: 2000}
	if err := f.run(t.Context(), p, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if n := f.sent.Load(); n < badTokenConns || f.refused.Load() != n || f.faults.count() > 0 {
		t.Errorf("%d sent, %d refused, faults %v", n, f.refused.Load(), f.faults.first)
	}
	seen := make(map[string]bool)
	for i := range 10 {
		for n := range 10 {
			if token := badToken(i, n); seen[token] || strings.ContainsAny(token, " \r\n") {
				t.Errorf("token %q is there twice, or is none", token)
			} else {
				seen[token] = true
			}
		}
	}
}

func TestDribble(t *testing.T) {
	d := &dribblers{every: time.Millisecond, longest: newStopwatch()}
	if err := d.run(t.Context(), answering(t, "HTTP/1.1 408 Request Timeout\r\n\r\n"), "/mcp", 20); err != nil {
		t.Fatal(err)
	}
	if d.closed.Load() != 20 || d.faults.count() > 0 {
		t.Errorf("%d of 20 closed, faults %v", d.closed.Load(), d.faults.first)
	}
}

func TestIsEnd(t *testing.T) {
	for err, want := range map[error]bool{
		io.EOF: true, io.ErrUnexpectedEOF: true, client.ErrNoAnswer: true, os.ErrDeadlineExceeded: false, errors.New("x"): false,
	} {
		if isEnd(err) != want {
			t.Errorf("isEnd(%v) = %v", err, !want)
		}
	}
}

func TestShareCores(t *testing.T) {
	var before, now unix.CPUSet
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	if before.Count() < 2 {
		t.Skip("one core")
	}
	server, unpin, err := shareCores()
	if err != nil || len(server) != 1 {
		t.Fatalf("shareCores = %v, %v", server, err)
	}
	if err := unix.SchedGetaffinity(0, &now); err != nil || now.IsSet(server[0]) || now.Count() != before.Count()-1 {
		t.Errorf("pinned to %d of %d cores, the server's among them: %v, %v", now.Count(), before.Count(), now.IsSet(server[0]), err)
	}
	unpin()
	if err := unix.SchedGetaffinity(0, &now); err != nil || now != before {
		t.Errorf("not undone: %v", err)
	}
}
