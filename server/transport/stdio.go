package transport

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"millrace/codec/jsonrpc"
	"millrace/pool/buffer"
)

// StdioConfig tunes ServeStdio.
type StdioConfig struct {
	// MaxMessage is the longest line accepted in bytes. Default 4 MiB.
	MaxMessage int
}

// stdioPeer is the one client on a pair of byte streams. Reading has one
// goroutine; writing is open to all, one line at a time.
type stdioPeer struct {
	link Link
	up   Dispatcher

	mu     sync.Mutex
	w      io.Writer
	failed atomic.Bool
	closed chan struct{}
	once   sync.Once
}

// StdioConn is a Link on a pair of byte streams.
type StdioConn struct {
	peer  *stdioPeer
	in    *bufio.Reader
	limit int
}

// NewStdio prepares to serve newline-delimited JSON-RPC
// (26:basic/transports/stdio) from r to w. Nothing but messages, one a line, is
// written to w.
func NewStdio(r io.Reader, w io.Writer, cfg StdioConfig, d Dispatcher) *StdioConn {
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = 4 << 20
	}
	p := &stdioPeer{w: w, up: d, closed: make(chan struct{})}
	p.link = Link{ID: 1, Protocol: Stdio, Send: p.send, Close: func(uint16, string) { p.end() }}
	d.Opened(&p.link)
	return &StdioConn{peer: p, in: bufio.NewReaderSize(r, 64<<10), limit: cfg.MaxMessage}
}

// Link is the connection as the Dispatcher sees it.
func (s *StdioConn) Link() *Link { return &s.peer.link }

// Serve dispatches every line on the calling goroutine. It returns nil when the
// input ends or the Link is closed, and an error when reading or writing fails.
// Requests may still be answered afterwards, until the caller calls
// Dispatcher.Closed.
func (s *StdioConn) Serve() error { return s.peer.serve(s.in, s.limit) }

// serve reads lines until the input ends.
func (p *stdioPeer) serve(r *bufio.Reader, limit int) error {
	lines := make(chan []byte)
	result := make(chan error, 1)
	go func() { // a blocked read cannot be interrupted: it is left behind when the link is closed
		defer close(lines)
		result <- p.read(r, limit, lines)
	}()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return <-result
			}
			p.dispatch(line)
			if p.failed.Load() {
				return errors.New("standard output is closed")
			}
		case <-p.closed:
			return nil
		}
	}
}

// read sends every line to lines; it stops at the end of the input.
func (p *stdioPeer) read(r *bufio.Reader, limit int, lines chan<- []byte) error {
	for {
		line, err := readLine(r, limit)
		switch {
		case errors.Is(err, errLineTooLong):
			p.complain("message is longer than this server accepts")
		case len(line) > 0:
			select {
			case lines <- line:
			case <-p.closed:
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, errLineTooLong) {
			return err
		}
	}
}

var errLineTooLong = errors.New("line too long")

// readLine returns the next line without its end, in memory of its own. A line
// over limit is skipped as a whole; memory grows with what has arrived.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if !tooLong && len(line)+len(bytes.TrimRight(part, "\r\n")) > limit {
			line, tooLong = nil, true
		}
		if !tooLong {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if tooLong && err == nil {
			err = errLineTooLong
		}
		return bytes.TrimSpace(line), err
	}
}

func (p *stdioPeer) dispatch(line []byte) {
	r := &Request{Kind: Message, Link: &p.link, Body: line, origin: p}
	p.up.Dispatch(r, stdioStream{p})
}

func (p *stdioPeer) complain(reason string) {
	b := buffer.Get()
	b.B = jsonrpc.AppendError(b.B, nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: reason})
	p.send(b.B, false)
	buffer.Put(b)
}

// detach implements origin: a line has memory of its own already.
func (p *stdioPeer) detach(r *Request) (*buffer.Buffer, Stream) {
	return &buffer.Buffer{B: r.Body}, stdioStream{p}
}

// send writes one message and its newline in one write. Any goroutine; it
// blocks while the client does not read.
func (p *stdioPeer) send(msg []byte, _ bool) bool {
	b := buffer.Get()
	defer buffer.Put(b)
	b.B = append(append(b.B, msg...), '\n')
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed.Load() {
		return false
	}
	if _, err := p.w.Write(b.B); err != nil {
		p.failed.Store(true)
		p.end()
		return false
	}
	return true
}

func (p *stdioPeer) end() { p.once.Do(func() { close(p.closed) }) }

// stdioStream is the Stream of every request on stdio.
type stdioStream struct{ peer *stdioPeer }

// Notify implements Stream.
func (s stdioStream) Notify(msg []byte) bool { return s.peer.send(msg, true) }

// Respond implements Stream.
func (s stdioStream) Respond(r Response) {
	if r.Body != nil {
		s.peer.send(r.Body.B, false)
		buffer.Put(r.Body)
	}
}

// Open implements Stream: there is nothing to open.
func (s stdioStream) Open(string) {}

// End implements Stream.
func (s stdioStream) End() {}
