package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/pool/buffer"
)

// StdioConfig tunes NewStdio.
type StdioConfig struct {
	// MaxMessage is the longest line accepted in bytes. Default, for 0 and
	// below: 4 MiB.
	MaxMessage int
}

// stdioQueue is how many bytes may wait for a client that does not read. Above
// it nothing more is read from the client, and notifications are lost.
const stdioQueue = 1 << 20

// stdioPeer is the one client on a pair of byte streams. One goroutine reads
// lines, another dispatches them, a third writes what all others have queued.
type stdioPeer struct {
	link Link
	up   Dispatcher

	w       io.Writer
	wake    chan struct{} // something is queued
	room    chan struct{} // something has been written
	finish  chan struct{} // closed by Flush
	flushed chan struct{} // closed when the writer has ended

	mu     sync.Mutex
	queue  []*buffer.Buffer
	queued int // bytes in queue and being written
	failed bool

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
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = 4 << 20
	}
	p := &stdioPeer{
		w: w, up: d, closed: make(chan struct{}),
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1),
		finish: make(chan struct{}), flushed: make(chan struct{}),
	}
	go p.write()
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

// Flush waits until everything sent so far has been written, for d at most, and
// ends the writer. Nothing may be sent afterwards. A write that hangs cannot be
// interrupted and is left behind. Once only.
func (s *StdioConn) Flush(d time.Duration) bool {
	close(s.peer.finish)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.peer.flushed:
		return true
	case <-t.C:
		return false
	}
}

// stuckFor is how long Serve waits for the last Dispatch.
const stuckFor = time.Second

// serve reads lines until the input ends. A blocked read cannot be interrupted:
// it is left behind.
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
			if !p.waitRoom() {
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
func (p *stdioPeer) detach(r *Request) (*Request, Stream) {
	return new(Request).own(r, &buffer.Buffer{B: r.Body}), stdioStream{p}
}

// send queues one message for the writer. It never blocks, so that nobody who
// has something to say waits for a client that does not read. Any goroutine.
func (p *stdioPeer) send(msg []byte, droppable bool) bool {
	b := buffer.Get()
	b.B = append(append(b.B, oneLine(msg)...), '\n')
	p.mu.Lock()
	ok := !p.failed && (!droppable || p.queued < stdioQueue)
	if ok {
		p.queue = append(p.queue, b)
		p.queued += len(b.B)
	}
	p.mu.Unlock()
	if !ok {
		buffer.Put(b)
		return false
	}
	signal(p.wake)
	return true
}

// signal wakes whoever waits on c, now or next.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write sends what is queued, a line a write, until Flush has been called and
// nothing is left. It is the one place that may hang on a client.
func (p *stdioPeer) write() {
	defer close(p.flushed)
	for {
		b := p.next()
		if b == nil {
			select {
			case <-p.wake:
				continue
			case <-p.finish:
				if b = p.next(); b == nil {
					return
				}
			}
		}
		_, err := p.w.Write(b.B)
		p.wrote(b, err)
		if err != nil {
			p.end(fmt.Errorf("writing messages: %w", err))
			return
		}
	}
}

// next is the oldest message of the queue; nil when there is none.
func (p *stdioPeer) next() *buffer.Buffer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return nil
	}
	b := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return b
}

// wrote counts a message that has gone out. After an error nothing more is
// taken.
func (p *stdioPeer) wrote(b *buffer.Buffer, err error) {
	p.mu.Lock()
	p.queued -= len(b.B)
	if err != nil {
		p.failed = true
		p.queue = nil
	}
	p.mu.Unlock()
	buffer.Put(b)
	signal(p.room)
}

// waitRoom holds the reader back while the client does not read its answers.
// It is false when the link is closed meanwhile.
func (p *stdioPeer) waitRoom() bool {
	for {
		p.mu.Lock()
		full := p.queued >= stdioQueue && !p.failed
		p.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-p.room:
		case <-p.closed:
			return false
		}
	}
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

// Send implements Stream: a line has no place for an event id.
func (s stdioStream) Send(e Event) bool {
	return e.Data != nil && s.peer.send(e.Data, !e.Keep)
}

// Respond implements Stream.
func (s stdioStream) Respond(r Response) {
	if r.Body != nil {
		s.peer.send(r.Body.B, false)
		buffer.Put(r.Body)
	}
}

// Hold implements Stream: there is nothing to hold.
func (s stdioStream) Hold() {}

// OnSilence implements Stream.
func (s stdioStream) OnSilence(func()) {}

// Open implements Stream: there is nothing to open.
func (s stdioStream) Open(string) {}

// End implements Stream.
func (s stdioStream) End() {}
