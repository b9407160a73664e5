package loop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"millrace/codec/http1"
	"millrace/loop"
	"millrace/loop/looptest"
)

func TestStartStopStart(t *testing.T) {
	warmUp := start(t, loop.Config{}, nil)
	dial(t, warmUp.Addrs()[0]).echoes("x")
	warmUp.Stop()

	before := openFiles(t)
	addr := "127.0.0.1:0"
	for range 3 {
		e := start(t, loop.Config{Listeners: []loop.Listener{{Addr: addr}}, Loops: 2}, nil)
		addr = e.Addrs()[0]
		var cs []*client
		for range 8 {
			c := dial(t, addr)
			c.echoes("hello")
			cs = append(cs, c)
		}
		e.Stop()
		e.Stop() // again: waits for the same end
		<-e.Done()
		if e.Err() != nil {
			t.Errorf("Err = %v", e.Err())
		}
		for _, c := range cs {
			if err := c.end(); err != nil {
				t.Errorf("the connection ended with %v", err)
			}
			c.Close()
		}
		if n := e.Stats().Active; n != 0 {
			t.Errorf("%d connections after Stop", n)
		}
	}
	eventually(t, "all descriptors are closed", func() bool { return openFiles(t) <= before+1 }) // +1: a client's socket that lingers
}

func TestStartErrors(t *testing.T) {
	e := start(t, loop.Config{}, nil)
	busy := e.Addrs()[0]
	var rl unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &rl); err != nil {
		t.Fatal(err)
	}
	local := []loop.Listener{{Addr: "127.0.0.1:0"}}
	tests := []struct {
		name string
		cfg  loop.Config
		want string
	}{
		{"port in use", loop.Config{Listeners: []loop.Listener{{Addr: busy}}}, "listen address " + busy + " is already in use"},
		{"second port in use", loop.Config{Listeners: append(local[:1:1], loop.Listener{Addr: busy})}, "already in use"},
		{"no address", loop.Config{}, "no listen address"},
		{"bad address", loop.Config{Listeners: []loop.Listener{{Addr: "nonsense"}}}, "listening on nonsense"},
		{"limit of open files", loop.Config{Listeners: local, MaxConnections: int(rl.Cur)}, "ulimit -n"},
	}
	for _, tt := range tests {
		before := openFiles(t)
		if _, err := loop.Start(tt.cfg, &looptest.Handler{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if n := openFiles(t); n > before {
			t.Errorf("%s: %d descriptors are left open", tt.name, n-before)
		}
	}
	if got, most := e.MaxConnections(), int(rl.Cur); got >= most || got < most/2 {
		t.Errorf("MaxConnections is %d by default under %d files", got, most)
	}
}

func TestMaxConnectionsOfEngine(t *testing.T) {
	e := start(t, loop.Config{MaxConnections: 2, Loops: 2}, nil)
	a, b := dial(t, e.Addrs()[0]), dial(t, e.Addrs()[0])
	a.echoes("a")
	b.echoes("b")
	c := dial(t, e.Addrs()[0])
	if r := c.response(); r.Status != 503 || r.Header["retry-after"] == "" {
		t.Errorf("one too many is told %+v", r)
	}
	if err := c.end(); err != nil {
		t.Errorf("its end: %v", err)
	}
	a.Close()
	eventually(t, "the place is free", func() bool { return e.Stats().Active == 1 })
	dial(t, e.Addrs()[0]).echoes("d")
	if s := e.Stats(); s.TurnedAway != 1 || s.Peak != 2 || s.Accepted != 3 || s.Loops != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestHandlerRefuses(t *testing.T) {
	e := start(t, loop.Config{}, &looptest.Handler{OnOpened: func(*loop.Conn) bool { return false }})
	c := dial(t, e.Addrs()[0])
	if r := c.response(); r.Status != 503 {
		t.Errorf("told %+v", r)
	}
	if err := c.end(); err != nil {
		t.Errorf("end: %v", err)
	}
	if s := e.Stats(); s.Active != 0 || s.TurnedAway != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestAbortInOpenedOfEngine(t *testing.T) {
	h := &looptest.Handler{OnOpened: func(c *loop.Conn) bool { c.Abort(nil); return true }}
	e := start(t, loop.Config{}, h)
	if err := dial(t, e.Addrs()[0]).end(); err != nil {
		t.Errorf("end: %v", err)
	}
	eventually(t, "it is not counted any more", func() bool { return e.Stats().Active == 0 })
}

func TestListenersHaveTags(t *testing.T) {
	h := &looptest.Handler{OnRequest: func(c *loop.Conn, _ *http1.Request) {
		c.Write(c.Exchange(), looptest.Answer(c, fmt.Sprint(c.Tag(), " ", c.RemoteAddr())), loop.Last)
	}}
	e := start(t, loop.Config{Listeners: []loop.Listener{{Addr: "127.0.0.1:0", Tag: 7}, {Addr: "localhost:0", Tag: 8}, {Addr: ":0", Tag: 9}}}, h)
	for i, want := range []int{7, 8, 9} {
		_, port, err := net.SplitHostPort(e.Addrs()[i])
		if err != nil || port == "0" {
			t.Fatalf("address %q, %v", e.Addrs()[i], err)
		}
		c := dial(t, "127.0.0.1:"+port)
		c.say(looptest.Request("GET", "/", ""))
		if got, want := c.response().Body, fmt.Sprint(want, " ", c.LocalAddr()); got != want {
			t.Errorf("listener %d: tag and address %q, want %q", i, got, want)
		}
	}
}

// TestTwoLoops: connections are spread, and both loops have ticks and wake-ups.
func TestTwoLoops(t *testing.T) {
	h := &looptest.Handler{OnRequest: func(c *loop.Conn, _ *http1.Request) {
		c.SetAlarm(c.Now().Add(time.Millisecond))
	}, OnAlarm: func(c *loop.Conn) {
		x, answer := c.Exchange(), looptest.Answer(c, "from a worker")
		go c.Send(x, answer, loop.Last)
	}}
	e := start(t, loop.Config{Loops: 2}, h)
	var cs []*client
	for range 8 {
		c := dial(t, e.Addrs()[0])
		c.say(looptest.Request("GET", "/", ""))
		cs = append(cs, c)
	}
	for _, c := range cs {
		if r := c.response(); r.Body != "from a worker" {
			t.Errorf("answer %+v", r)
		}
	}
}

func TestStopAccepting(t *testing.T) {
	e := start(t, loop.Config{Loops: 2}, nil)
	addr := e.Addrs()[0]
	old := dial(t, addr)
	old.echoes("before")
	e.StopAccepting()
	e.StopAccepting() // again does no harm
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("a new connection is accepted")
	}
	old.echoes("after")
	next := start(t, loop.Config{Listeners: []loop.Listener{{Addr: addr}}}, nil) // the port is free
	dial(t, addr).echoes("the next engine")
	next.Stop()
	old.echoes("still there")
}

// TestDrainLosesNothing: readers that are slow, but read, get all of an answer
// that is larger than the kernel buffers.
func TestDrainLosesNothing(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 8<<20/16)
	h := &looptest.Handler{OnRequest: func(c *loop.Conn, r *http1.Request) {
		if string(r.Path()) == "/big" {
			c.Write(c.Exchange(), looptest.Answer(c, big), loop.Last)
			return
		}
		looptest.Serve(c, r)
	}, OnDrain: func(c *loop.Conn) { c.CloseWebSocket(1001, "") }}
	e := start(t, loop.Config{}, h)
	var slow []*client
	for range 3 {
		c := dial(t, e.Addrs()[0])
		c.tcp.SetReadBuffer(32 << 10)
		c.say(looptest.Request("GET", "/big", ""))
		if err := c.more(); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, c)
	}
	idle, ws := dial(t, e.Addrs()[0]), dial(t, e.Addrs()[0])
	idle.echoes("x")
	ws.say(looptest.Upgrade("/"))
	ws.response()

	drained := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { drained <- e.Drain(ctx) }()
	var wg sync.WaitGroup
	for _, c := range slow {
		wg.Go(func() {
			for chunk := make([]byte, 128<<10); ; {
				time.Sleep(time.Millisecond) // this is what slow means
				n, err := c.Read(chunk)
				c.buf = append(c.buf, chunk[:n]...)
				if err != nil {
					break
				}
			}
		})
	}
	if err := ws.end(); err != nil {
		t.Errorf("the WebSocket ended with %v", err)
	}
	ws.Close()
	if f, err := looptest.Frames(ws.buf); err != nil || len(f) != 1 || f[0].Code != 1001 {
		t.Errorf("the WebSocket got %+v, %v", f, err)
	}
	if err := idle.end(); err != nil {
		t.Errorf("the idle connection ended with %v", err)
	}
	idle.Close()
	wg.Wait()
	for i, c := range slow {
		if r := c.response(); r.Body != big {
			t.Errorf("reader %d got %d bytes, want %d", i, len(r.Body), len(big))
		}
		c.Close()
	}
	if err := <-drained; err != nil {
		t.Errorf("Drain = %v", err)
	}
	if err := e.Drain(ctx); err != nil {
		t.Errorf("a second Drain = %v", err)
	}
}

func TestDrainIsCutShort(t *testing.T) {
	h := &looptest.Handler{OnRequest: hold}
	e := start(t, loop.Config{}, h)
	c := dial(t, e.Addrs()[0])
	c.say(looptest.Request("GET", "/", ""))
	eventually(t, "the request is there", func() bool { return e.Stats().Requests == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Drain(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "1 connections cut") {
		t.Errorf("Drain = %v", err)
	}
	c.end()
	if ev := h.Events(); ev[len(ev)-1] != "closed "+loop.ErrDraining.Error() {
		t.Errorf("events %q", ev)
	}
}

// TestFloodIsHeldBack: a peer that sends and sends while its first request is
// being answered is stopped by TCP, not by our memory, and goes on afterwards.
func TestFloodIsHeldBack(t *testing.T) {
	var answering atomic.Bool
	first := make(chan *loop.Conn, 1)
	h := &looptest.Handler{}
	h.OnRequest = func(c *loop.Conn, r *http1.Request) {
		if !answering.Load() {
			first <- c
			return
		}
		c.Write(c.Exchange(), looptest.Answer(c, ""), loop.Last)
	}
	e := start(t, loop.Config{}, h)
	c := dial(t, e.Addrs()[0])
	one := looptest.Request("POST", "/", strings.Repeat("x", 4000))
	many := bytes.Repeat(one, 16)
	sent := 0
	for {
		c.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := c.Write(many)
		sent += n
		if err != nil {
			break
		}
		if sent > 256<<20 {
			t.Fatal("the flood is not held back")
		}
	}
	if n := e.Stats().PinnedBytes; n == 0 || n > 256<<10 {
		t.Errorf("%d bytes are held", n)
	}
	go io.Copy(io.Discard, c)
	answering.Store(true)
	held := <-first
	held.Post(func(c *loop.Conn) { c.Write(c.Exchange(), looptest.Answer(c, ""), loop.Last) })
	eventually(t, "all requests are served", func() bool { return e.Stats().Requests == int64(sent/len(one)) })
	h.Events()
}

// TestSlowReaderIsCut: the answers of a peer that reads nothing stop its
// reading, then it is cut.
func TestSlowReaderIsCut(t *testing.T) {
	h := &looptest.Handler{OnMessage: func(c *loop.Conn, _ []byte) {
		c.Write(c.Exchange(), looptest.TextFrame(strings.Repeat("y", 64<<10)), 0)
	}}
	e := start(t, loop.Config{StallTimeout: 300 * time.Millisecond}, h)
	c := dial(t, e.Addrs()[0])
	c.say(looptest.Upgrade("/"))
	c.response()
	for sent := 0; ; sent++ {
		if _, err := c.Write(looptest.Text("more")); err != nil {
			break // cut
		}
		if sent > 1_000_000 {
			t.Fatal("never cut")
		}
	}
	eventually(t, "the connection is gone", func() bool { return e.Stats().Active == 0 })
	ev := h.Events()
	if got := ev[len(ev)-1]; got != "closed "+loop.ErrStalled.Error() {
		t.Errorf("the end is %q", got)
	}
}

func TestSendFromManyGoroutines(t *testing.T) {
	const goroutines, each = 8, 500
	opened := make(chan *loop.Conn, 1)
	e := start(t, loop.Config{}, &looptest.Handler{OnMessage: func(c *loop.Conn, _ []byte) { opened <- c }})
	c := dial(t, e.Addrs()[0])
	c.say(cat(looptest.Upgrade("/"), looptest.Text("go")))
	c.response()
	conn := <-opened
	x := uint64(1) // the exchange that was switched
	for g := range goroutines {
		go func() {
			for i := range each {
				conn.Send(x, looptest.TextFrame(fmt.Sprintf("%d %d", g, i)), 0)
			}
		}()
	}
	var got []looptest.Frame
	for len(got) < goroutines*each {
		if err := c.more(); err != nil {
			t.Fatalf("%v after %d frames", err, len(got))
		}
		f, err := looptest.Frames(c.buf)
		if err == nil {
			got, c.buf = append(got, f...), nil
		} else if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	inOrder(t, got, goroutines, each)
}

func TestResetByPeer(t *testing.T) {
	h := &looptest.Handler{}
	e := start(t, loop.Config{}, h)
	other := dial(t, e.Addrs()[0])
	for range 20 {
		c := dial(t, e.Addrs()[0])
		c.echoes("x")
		c.tcp.SetLinger(0)
		c.Close()
	}
	eventually(t, "they are gone", func() bool { return e.Stats().Active == 1 })
	other.echoes("still here")
	for _, ev := range h.Events() {
		if strings.HasPrefix(ev, "closed") && ev != "closed <nil>" {
			t.Errorf("an everyday end is reported as %q", ev)
		}
	}
}

// TestResetWhileWriting: the socket fails inside of Write.
func TestResetWhileWriting(t *testing.T) {
	conns := make(chan *loop.Conn, 1)
	h := &looptest.Handler{OnMessage: func(c *loop.Conn, _ []byte) { conns <- c }}
	e := start(t, loop.Config{}, h)
	c := dial(t, e.Addrs()[0])
	c.say(cat(looptest.Upgrade("/"), looptest.Text("go")))
	conn := <-conns
	c.tcp.SetLinger(0)
	c.Close()
	for conn.Send(1, looptest.TextFrame("x"), 0) {
	}
	eventually(t, "it is gone", func() bool { return e.Stats().Active == 0 })
}

// TestRefusalReachesAPeerThatStillSends: closing with unread input would reset
// the connection and may destroy the answer; lingering does not.
func TestRefusalReachesAPeerThatStillSends(t *testing.T) {
	e := start(t, loop.Config{HTTP: http1.Limits{BodyBytes: 1000}}, nil)
	for range 20 {
		c := dial(t, e.Addrs()[0])
		c.say(looptest.Request("POST", "/", strings.Repeat("x", 128<<10)))
		if r := c.response(); r.Status != 413 {
			t.Fatalf("status %d", r.Status)
		}
		if err := c.end(); err != nil {
			t.Errorf("the connection ended with %v", err)
		}
	}
}

func TestPanicOnEngine(t *testing.T) {
	e := start(t, loop.Config{}, &looptest.Handler{OnRequest: func(c *loop.Conn, r *http1.Request) {
		if string(r.Path()) == "/boom" {
			panic("boom")
		}
		looptest.Serve(c, r)
	}})
	other, c := dial(t, e.Addrs()[0]), dial(t, e.Addrs()[0])
	other.echoes("before")
	c.say(looptest.Request("GET", "/boom", ""))
	if err := c.end(); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended with %v", err)
	}
	other.echoes("after")
	if n := e.Stats().Panics; n != 1 {
		t.Errorf("%d panics counted", n)
	}
}
