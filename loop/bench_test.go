package loop_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"millrace/codec/http1"
	"millrace/loop"
	"millrace/loop/looptest"
	"millrace/pool/buffer"
)

// plain answers without recording, and without anything that allocates.
type plain struct{ answer, frame []byte }

func newPlain() *plain {
	p := &plain{frame: looptest.TextFrame(string(make([]byte, 300))).B}
	p.answer = append(p.answer, "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n"...)
	p.answer = append(p.answer, make([]byte, 300)...)
	return p
}

func (p *plain) Opened(*loop.Conn) bool { return true }
func (p *plain) Request(c *loop.Conn, r *http1.Request) {
	if r.WantsUpgrade() {
		looptest.Serve(c, r)
		return
	}
	c.Write(c.Exchange(), buffer.Copy(p.answer), loop.Last)
}
func (p *plain) Message(c *loop.Conn, _ []byte) {
	c.Write(c.Exchange(), buffer.Copy(p.frame), 0)
}
func (p *plain) Alarm(*loop.Conn)         {}
func (p *plain) Drain(*loop.Conn)         {}
func (p *plain) Closed(*loop.Conn, error) {}

// feeder gives a connection the same bytes again and again. The WebSocket
// decoder unmasks in place, so they are copied each time, as the kernel does.
type feeder struct {
	pipe    *loop.Pipe
	in, buf []byte
	warmUp  int // calls until pools know the sizes
}

func (f *feeder) feed() {
	copy(f.buf, f.in)
	f.pipe.FeedInPlace(f.buf)
}

func newFeeder(in []byte) *feeder {
	m := loop.NewMemory(loop.Config{Logger: quiet}, newPlain())
	f := &feeder{m.Open("192.0.2.1:1000", 0), in, bytes.Clone(in), 100_000}
	f.pipe.Discard = true
	return f
}

// pipelined is a batch of 16 POST requests of 750 bytes, as an MCP client sends
// them.
func pipelined() *feeder {
	one := looptest.Request("POST", "/mcp", string(make([]byte, 350)),
		"Content-Type: application/json", "Accept: application/json, text/event-stream",
		"User-Agent: an-mcp-client/1.0 (linux; amd64)", "Mcp-Session-Id: 0123456789abcdef0123456789abcdef",
		"Mcp-Protocol-Version: 2025-11-25", "Origin: http://localhost", "Accept-Language: en")
	f := newFeeder(bytes.Repeat(one, 16))
	f.warmUp /= 16
	return f
}

func message() *feeder {
	f := newFeeder(looptest.Upgrade("/"))
	f.feed()
	f.in = looptest.Text(string(make([]byte, 300)))
	f.buf = bytes.Clone(f.in)
	return f
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	for name, f := range map[string]*feeder{"16 pipelined requests": pipelined(), "a message of 300 bytes": message()} {
		// bytebufferpool recycles what 95 % of its calls asked for, as it counts
		// them every 42,000 calls: other tests must be forgotten first.
		for range f.warmUp {
			f.feed()
		}
		if n := testing.AllocsPerRun(1000, f.feed); n > 0 && !raceEnabled {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkPipelinedRequests(b *testing.B) {
	f := pipelined()
	b.ReportAllocs()
	b.SetBytes(int64(len(f.in)))
	for b.Loop() {
		f.feed()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*16), "ns/request")
}

func BenchmarkMessage(b *testing.B) {
	f := message()
	b.ReportAllocs()
	b.SetBytes(int64(len(f.in)))
	for b.Loop() {
		f.feed()
	}
}

// BenchmarkSend is the way back from workers: two of them send, the loop
// delivers what has come.
func BenchmarkSend(b *testing.B) {
	p := newPlain()
	m := loop.NewMemory(loop.Config{Logger: quiet, MaxQueued: 1 << 40}, p)
	pipe := m.Open("192.0.2.1:1000", 0)
	pipe.Discard = true
	pipe.Feed(looptest.Upgrade("/"))
	x := pipe.Conn.Exchange()
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range b.N / 2 {
				pipe.Conn.Send(x, buffer.Copy(p.frame), 0)
			}
		})
	}
	sent := make(chan struct{})
	go func() { wg.Wait(); close(sent) }()
	for done := false; !done; {
		select {
		case <-sent:
			done = true
		default:
			m.Wait(time.Millisecond)
		}
	}
	m.Deliver()
}
