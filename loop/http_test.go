package loop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/codec/http1"
	"millrace/loop"
	"millrace/loop/looptest"
	"millrace/pool/buffer"
)

func TestKeepAliveAndClose(t *testing.T) {
	tests := []struct {
		name   string
		in     []byte
		closes bool
	}{
		{"1.1", looptest.Request("GET", "/", ""), false},
		{"1.1 close", looptest.Request("GET", "/", "", "Connection: close"), true},
		{"1.0", []byte("GET / HTTP/1.0\r\n\r\n"), true},
		{"1.0 keep-alive", []byte("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, loop.Config{}, nil)
			r.Feed(tt.in)
			got := r.responses()
			if len(got) != 1 || (got[0].Header["connection"] == "close") != tt.closes {
				t.Fatalf("responses %+v", got)
			}
			r.wantState(tt.closes, false)
			r.Feed(looptest.Request("GET", "/again", ""))
			if n := len(r.responses()); (n == 0) != tt.closes {
				t.Errorf("%d responses to a second request", n)
			}
			r.Hangup()
			if n := r.Stats().Active; n != 0 {
				t.Errorf("%d connections are open", n)
			}
		})
	}
}

func TestExpectContinue(t *testing.T) {
	in := looptest.Request("POST", "/", "hello", "Expect: 100-continue")
	head, body := in[:len(in)-5], in[len(in)-5:]
	t.Run("body waits", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.Feed(head)
		r.wantStatuses(100)
		r.Feed(body)
		r.wantStatuses(200)
	})
	t.Run("body is there", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.Feed(in)
		r.wantStatuses(200)
	})
	t.Run("body has begun", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.Feed(in[:len(in)-2])
		r.wantStatuses()
		r.Feed(in[len(in)-2:])
		r.wantStatuses(200)
	})
	t.Run("too large", func(t *testing.T) {
		r := newRig(t, loop.Config{HTTP: http1.Limits{BodyBytes: 4}}, nil)
		r.Feed(head)
		r.wantStatuses(413)
		r.wantState(true, false)
	})
}

// TestBodyLimits is at limit-1, limit and limit+1, announced and chunked.
func TestBodyLimits(t *testing.T) {
	for _, tt := range []struct {
		method string
		limit  int // in force
		cfg    int64
	}{
		{"POST", 10, 10},
		{"POST", 4 << 20, 0},
		{"POST", 4 << 20, -1},
		{"GET", 4 << 10, 0},
		{"HEAD", 4 << 10, 0},
		{"DELETE", 4 << 10, 0},
		{"OPTIONS", 4 << 10, 0},
		{"GET", 10, 10},
	} {
		for n := tt.limit - 1; n <= tt.limit+1; n++ {
			body := strings.Repeat("b", n)
			chunked := strings.Replace(string(looptest.Chunked("/", body)), "POST", tt.method, 1)
			for kind, in := range map[string][]byte{"length": looptest.Request(tt.method, "/", body), "chunked": []byte(chunked)} {
				want := 200
				if n > tt.limit {
					want = 413
				}
				r := newRig(t, loop.Config{HTTP: http1.Limits{BodyBytes: tt.cfg}}, &looptest.Handler{OnRequest: func(c *loop.Conn, q *http1.Request) {
					if len(q.Body) != n {
						t.Errorf("body of %d bytes arrives with %d", n, len(q.Body))
					}
					c.Write(c.Exchange(), looptest.Answer(c, "ok"), loop.Last)
				}})
				r.Feed(in)
				if got := r.statuses(); !slices.Equal(got, []int{want}) {
					t.Errorf("%s of %d bytes (%s, limit %d): %v, want %d", tt.method, n, kind, tt.limit, got, want)
				}
				if r.FIN != (want != 200) {
					t.Errorf("%s of %d bytes: FIN %v", tt.method, n, r.FIN)
				}
			}
		}
	}
}

func TestParseErrorIsAnsweredThenLingers(t *testing.T) {
	tests := []struct {
		name, in string
		status   int
	}{
		{"garbage", "nonsense\r\n\r\n", 400},
		{"version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400},
		{"bad chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		{"head too long", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 17<<10), 431},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, loop.Config{}, nil)
			r.Feed([]byte(tt.in))
			got := r.responses()
			if len(got) != 1 || got[0].Status != tt.status || got[0].Header["connection"] != "close" || got[0].Body == "" {
				t.Fatalf("responses %+v, want one %d", got, tt.status)
			}
			r.wantState(true, false)
			r.Feed(looptest.Request("GET", "/", "")) // read and thrown away
			if out := r.Output(); len(out) > 0 {
				t.Errorf("answered after the error: %q", out)
			}
			r.Hangup()
			r.wantEvents("opened", "closed <nil>")
			if n := r.Stats().Refused; n != 1 {
				t.Errorf("%d refused", n)
			}
		})
	}
}

func TestErrorBehindAnswersComesLast(t *testing.T) {
	r := newRig(t, loop.Config{}, nil)
	r.Feed(cat(looptest.Request("POST", "/", "a"), []byte("bad\r\n\r\n")))
	r.wantStatuses(200, 400)
}

func TestLateAnswersAreDropped(t *testing.T) {
	r := newRig(t, loop.Config{}, &looptest.Handler{OnRequest: hold})
	r.Feed(looptest.Request("GET", "/a", ""))
	first := r.Conn.Exchange()
	send := func(exchange uint64, body string) {
		r.Conn.Send(exchange, looptest.Answer(r.Conn, body), loop.Last)
		r.Deliver()
	}
	send(first, "one")
	send(first, "late, the connection is idle")
	r.Feed(looptest.Request("GET", "/b", ""))
	send(first, "late, the next exchange is open")
	send(r.Conn.Exchange()+1, "early")
	send(r.Conn.Exchange(), "two")
	var bodies []string
	for _, a := range r.responses() {
		bodies = append(bodies, a.Body)
	}
	if want := []string{"one", "two"}; !slices.Equal(bodies, want) {
		t.Errorf("answers %q, want %q", bodies, want)
	}
	r.Hangup()
	if r.Conn.Send(r.Conn.Exchange(), bytesOf(1), 0) {
		t.Error("Send to a connection that is gone reports true")
	}
	r.Conn.Post(func(*loop.Conn) { t.Error("Post ran on a connection that is gone") })
	r.Deliver()
}

// TestSendRacesWithEnd: what was sent before the end is dropped after it.
func TestSendRacesWithEnd(t *testing.T) {
	r := newRig(t, loop.Config{}, &looptest.Handler{OnRequest: hold})
	r.Feed(looptest.Request("GET", "/a", ""))
	r.Conn.Send(r.Conn.Exchange(), looptest.Answer(r.Conn, "x"), loop.Last)
	r.Conn.Post(func(*loop.Conn) { t.Error("Post ran on a connection that is gone") })
	r.Hangup()
	r.Deliver()
	if out := r.Output(); len(out) > 0 {
		t.Errorf("output %q", out)
	}
}

func TestOneWritePerBatch(t *testing.T) {
	r := newRig(t, loop.Config{}, nil)
	r.Feed(slices.Repeat(looptest.Request("POST", "/", "x"), 16))
	if r.Writes != 1 || len(r.responses()) != 16 {
		t.Errorf("%d writes for 16 pipelined answers", r.Writes)
	}
	r = newWebSocket(t, loop.Config{}, nil)
	r.Feed(slices.Repeat(looptest.Text("x"), 16))
	if n := len(r.frames()); r.Writes != 1 || n != 16 {
		t.Errorf("%d writes for %d messages", r.Writes, n)
	}
	for i := range 16 {
		r.Conn.Send(r.Conn.Exchange(), looptest.TextFrame(fmt.Sprint(i)), 0)
	}
	r.Deliver()
	if n := len(r.frames()); r.Writes != 2 || n != 16 {
		t.Errorf("%d writes more for %d frames sent from elsewhere", r.Writes-1, n)
	}
}

// TestLargeBatchIsNotCopied: gathering stops where a copy costs more than a
// write.
func TestLargeBatchIsNotCopied(t *testing.T) {
	r := newWebSocket(t, loop.Config{}, nil)
	big := strings.Repeat("b", 300<<10)
	for _, p := range []string{"a", "b", big, "c", "d"} {
		r.Conn.Send(r.Conn.Exchange(), looptest.TextFrame(p), 0)
	}
	r.Deliver()
	f := r.frames()
	if r.Writes != 3 || len(f) != 5 || f[2].Payload != big || f[4].Payload != "d" {
		t.Errorf("%d writes, %d frames", r.Writes, len(f))
	}
}

// TestFollowingBytesAreBounded: while a request is answered, the bytes of
// following ones are held up to 64 KiB, then reading pauses.
func TestFollowingBytesAreBounded(t *testing.T) {
	r := newRig(t, loop.Config{}, &looptest.Handler{OnRequest: hold})
	r.Feed(looptest.Request("GET", "/", ""))
	next := looptest.Request("POST", "/next", strings.Repeat("x", 100<<10))
	const bound = 64 << 10
	r.Feed(next[:bound-1])
	if !r.Reading {
		t.Errorf("reading has paused one byte under the bound")
	}
	r.Feed(next[bound-1 : bound])
	if r.Reading {
		t.Errorf("reading goes on at the bound")
	}
	if n := r.Stats().PinnedBytes; n != bound {
		t.Errorf("%d bytes are pinned, want %d", n, bound)
	}
	r.Conn.Send(r.Conn.Exchange(), looptest.Answer(r.Conn, "ok"), loop.Last)
	r.Deliver()
	if !r.Reading {
		t.Error("reading has not resumed after the answer")
	}
	r.Feed(next[bound:])
	r.Conn.Send(r.Conn.Exchange(), looptest.Answer(r.Conn, "ok"), loop.Last)
	r.Deliver()
	r.wantStatuses(200, 200)
	if n := r.Stats().PinnedBytes; n != 0 {
		t.Errorf("%d bytes are pinned at the end", n)
	}
}

// TestReadsThatLeakThroughAPause: gnet restores its event mask when a backlog is
// gone. The pause is set again, and what leaks is bounded.
func TestReadsThatLeakThroughAPause(t *testing.T) {
	r := newRig(t, loop.Config{}, &looptest.Handler{OnRequest: hold})
	r.Window = 0
	r.Feed(looptest.Request("GET", "/", ""))
	read := []byte(strings.Repeat("x", 64<<10))
	r.Feed(read)
	for range 7 {
		r.Conn.Send(r.Conn.Exchange(), bytesOf(10), 0)
		r.Deliver()
		r.Drink(10)
		if !r.Reading {
			t.Fatal("the memory socket should restore the mask")
		}
		r.Feed(read)
		if r.Reading {
			t.Fatal("the pause was not set again")
		}
		r.Window = 0
	}
	r.wantState(false, false)
	r.Feed(read)
	r.wantState(false, true)
	r.wantEvents("opened", "request GET / ", "closed too many bytes of incomplete messages")
}

func TestTakeBody(t *testing.T) {
	var taken []*buffer.Buffer
	h := &looptest.Handler{OnRequest: func(c *loop.Conn, q *http1.Request) {
		taken = append(taken, c.TakeBody())
		c.Write(c.Exchange(), looptest.Answer(c, ""), loop.Last)
	}}
	r := newRig(t, loop.Config{}, h)
	in := looptest.Request("POST", "/", "whole body")
	r.Feed(in)
	r.Feed(in[:len(in)-3])
	r.Feed(in[len(in)-3:])
	r.Feed(looptest.Chunked("/", "whole", " body"))
	r.Feed(looptest.Request("POST", "/", "other")) // would overwrite what was not really taken
	for i, b := range taken[:3] {
		if string(b.B) != "whole body" {
			t.Errorf("body %d = %q", i, b.B)
		}
	}
}

// TestEveryPartOfAStream: an exchange may be answered in many parts, and a
// request that follows waits for the last.
func TestEveryPartOfAStream(t *testing.T) {
	h := &looptest.Handler{OnRequest: hold}
	r := newRig(t, loop.Config{}, h)
	r.Feed(cat(looptest.Request("GET", "/a", ""), looptest.Request("GET", "/b", "")))
	x := r.Conn.Exchange()
	for _, part := range []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\none\r\n", ""} {
		r.Conn.Send(x, &buffer.Buffer{B: []byte(part)}, 0)
		r.Deliver()
	}
	r.wantEvents("opened", "request GET /a ")
	r.Conn.Send(x, &buffer.Buffer{B: []byte("0\r\n\r\n")}, loop.Last)
	r.Deliver()
	r.wantEvents("request GET /b ")
	if got := r.responses(); len(got) != 1 || got[0].Body != "one" {
		t.Errorf("responses %+v", got)
	}
	if r.Writes != 3 {
		t.Errorf("%d writes, want 3: an empty part needs none", r.Writes)
	}
}

func TestCloseFlagEndsAnOpenExchange(t *testing.T) {
	r := newRig(t, loop.Config{}, &looptest.Handler{OnRequest: hold})
	r.Feed(looptest.Request("GET", "/", ""))
	x := r.Conn.Exchange()
	r.Conn.Send(x, &buffer.Buffer{B: []byte("bye")}, loop.Close)
	r.Conn.Send(x, &buffer.Buffer{B: []byte("too late")}, 0)
	r.Deliver()
	if out := string(r.Output()); out != "bye" {
		t.Errorf("output %q", out)
	}
	r.wantState(true, false)
}

func TestLingerDiscardsABoundedAmount(t *testing.T) {
	r := newRig(t, loop.Config{}, nil)
	r.Feed([]byte("bad\r\n\r\n"))
	for range 32 << 20 / (64 << 10) {
		r.Feed(make([]byte, 64<<10))
	}
	if r.wantState(true, false); !r.Reading {
		t.Error("stopped reading within the bound")
	}
	r.Feed([]byte{0})
	if r.wantState(true, false); r.Reading {
		t.Error("reads on beyond the bound")
	}
	r.Advance(time.Second + 100*time.Millisecond)
	r.wantState(true, true)
}
