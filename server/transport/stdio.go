package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/pool/buffer"
)

// StdioConfig tunes ServeStdio.
type StdioConfig struct {
	// MaxMessage is the longest line accepted in bytes. Default 4 MiB.
	MaxMessage int
}

// stdioPeer is the one client on a pair of byte streams. One goroutine reads
// lines, another dispatches them; writing is open to all, one line at a time.
type stdioPeer struct {
	link Link
	up   Dispatcher

	mu     sync.Mutex // held while a line is written
	w      io.Writer
	failed atomic.Bool

	once   sync.Once
	closed chan struct{}
	err    error // why; written before closed is closed
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
	p.link = Link{ID: 1, Protocol: Stdio, Send: p.send, Close: func(uint16, string) { p.end(nil) }}
	d.Opened(&p.link)
	return &StdioConn{peer: p, in: bufio.NewReaderSize(r, 64<<10), limit: cfg.MaxMessage}
}

// Link is the connection as the Dispatcher sees it.
func (s *StdioConn) Link() *Link { return &s.peer.link }

// Serve dispatches every line, in order, until the input ends or the Link is
// closed, and returns nil then; it returns an error when reading or writing
// fails. Requests may still be answered afterwards, until the caller calls
// Dispatcher.Closed. Once only.
func (s *StdioConn) Serve() error { return s.peer.serve(s.in, s.limit) }

// stuckFor is how long Serve waits for an answer that a client does not read:
// a client that has closed our input, or whose user has pressed ^C, wants us to
// exit promptly.
const stuckFor = time.Second

// serve reads lines until the input ends. Neither a blocked read nor a blocked
// write can be interrupted: what hangs in one is left behind.
func (p *stdioPeer) serve(r *bufio.Reader, limit int) error {
	lines := make(chan []byte)
	input := make(chan error, 1)
	go func() {
		input <- p.read(r, limit, lines)
		close(lines)
	}()
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		p.dispatchAll(lines)
	}()
	var err error
	select {
	case err = <-input:
	case <-p.closed:
	}
	t := time.NewTimer(stuckFor)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
	p.end(err)
	return p.err
}

// read sends every line to lines; it stops at the end of the input.
func (p *stdioPeer) read(r *bufio.Reader, limit int, lines chan<- []byte) error {
	for {
		line, err := readLine(r, limit)
		switch {
		case errors.Is(err, errLineTooLong):
			p.complain("message is longer than this server accepts")
			continue
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
		if err != nil {
			return fmt.Errorf("reading messages: %w", err)
		}
	}
}

var errLineTooLong = errors.New("line too long")

// readLine returns the next line without its end, in memory of its own. A line
// over limit is skipped as a whole, and errLineTooLong reported; memory grows
// with what has arrived, up to limit. The last line needs no end: it comes with
// the error that stopped the input.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if !tooLong {
			line = append(line, part...)
			tooLong = contentLen(line) > limit
		}
		if tooLong {
			line = nil
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if tooLong && (err == nil || errors.Is(err, io.EOF)) {
			return nil, errLineTooLong // an end of the input is found again by the next call
		}
		return bytes.Trim(line, " \t\r\n"), err
	}
}

// contentLen is the length of a line without its end.
func contentLen(line []byte) int {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return len(bytes.TrimSuffix(line, []byte{'\r'}))
}

// dispatchAll hands lines up until there are no more or the link is closed.
func (p *stdioPeer) dispatchAll(lines <-chan []byte) {
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			r := &Request{Kind: Message, Link: &p.link, Body: line, origin: p}
			p.up.Dispatch(r, stdioStream{p})
		case <-p.closed:
			return
		}
	}
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
	b.B = append(append(b.B, oneLine(msg)...), '\n')
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed.Load() {
		return false
	}
	if _, err := p.w.Write(b.B); err != nil {
		p.failed.Store(true)
		p.end(fmt.Errorf("writing messages: %w", err))
		return false
	}
	return true
}

// end closes the link; the first err counts.
func (p *stdioPeer) end(err error) {
	p.once.Do(func() {
		p.err = err
		close(p.closed)
	})
}

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

// Hold implements Stream: there is nothing to hold.
func (s stdioStream) Hold() {}

// Open implements Stream: there is nothing to open.
func (s stdioStream) Open(string) {}

// End implements Stream.
func (s stdioStream) End() {}
