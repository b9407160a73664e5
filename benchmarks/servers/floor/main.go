// Command floor is what the kernel, Go and gnet cost before any protocol is spoken: one gnet loop that does the least
// that could be called an answer. It shares no code with Millrace, checks nothing, and serves nobody in earnest.
//
//	bytes      sends every byte back
//	websocket  sends every WebSocket frame back, of the same size
//	http       reads a POST to its end and answers with fixed bytes
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"

	"millrace/benchmarks/servers/probe"
)

func main() {
	mode := flag.String("mode", "http", "bytes, websocket or http")
	listen, probeAddr := probe.Flags()
	flag.Parse()
	if err := run(*mode, *listen, *probeAddr); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(mode, listen, probeAddr string) error {
	if err := probe.Start(probeAddr); err != nil {
		return err
	}
	f := &floor{}
	switch mode {
	case "bytes":
		f.answer = answerBytes
	case "websocket":
		f.answer = answerWebSocket
	case "http":
		f.answer = answerHTTP
	default:
		return fmt.Errorf("unknown mode %q", mode)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { _ = f.engine.Stop(context.Background()) })
	return gnet.Run(f, "tcp://"+listen, gnet.WithNumEventLoop(1), gnet.WithReusePort(true), gnet.WithReuseAddr(true),
		gnet.WithLogger(silent{logging.GetDefaultLogger()}))
}

// silent drops gnet's log, which would go to standard output.
type silent struct{ logging.Logger }

func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}

// floor serves all connections on gnet's one loop.
type floor struct {
	gnet.BuiltinEventEngine
	engine gnet.Engine
	answer func(c *conn, in []byte) (used int)
}

// conn is what a connection has beside its socket. Everything belongs to the loop.
type conn struct {
	in       []byte // what is read and incomplete
	out      []byte // what is to be written after this read
	upgraded bool
}

func (f *floor) OnBoot(e gnet.Engine) gnet.Action {
	f.engine = e
	return gnet.None
}

func (f *floor) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(&conn{})
	return nil, gnet.None
}

// OnTraffic drains gnet's buffer on every read; what is incomplete is kept in a buffer of the connection.
func (f *floor) OnTraffic(g gnet.Conn) gnet.Action {
	c, _ := g.Context().(*conn)
	b, err := g.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	used := f.answer(c, b)
	if used < 0 {
		return gnet.Close
	}
	c.in = append(c.in[:0], b[used:]...)
	if _, err := g.Discard(-1); err != nil {
		return gnet.Close
	}
	if len(c.out) > 0 {
		if _, err := g.Write(c.out); err != nil {
			return gnet.Close
		}
		c.out = c.out[:0]
	}
	return gnet.None
}
