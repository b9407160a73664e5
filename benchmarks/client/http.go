package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// ErrNoAnswer reports that the connection ended before the first byte of an answer.
var ErrNoAnswer = errors.New("http: connection ended before an answer")

// HTTP is one HTTP/1.1 connection, one exchange at a time. It belongs to one goroutine.
type HTTP struct {
	conn net.Conn
	in   buffer
	body []byte
}

// DialHTTP connects to addr (host:port).
func DialHTTP(ctx context.Context, addr string) (*HTTP, error) {
	conn, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &HTTP{conn: conn}, nil
}

// SetDeadline bounds all reads and writes from now on.
func (h *HTTP) SetDeadline(t time.Time) error { return h.conn.SetDeadline(t) }

// Write sends the bytes of a request as they are.
func (h *HTTP) Write(b []byte) error {
	_, err := h.conn.Write(b)
	return noAnswer(err)
}

// ReadHead reads the head of the next response, valid until the body is read. The error wraps ErrNoAnswer when the
// connection ended before the first byte.
func (h *HTTP) ReadHead() (Head, error) { return readHead(h.conn, &h.in) }

func readHead(c net.Conn, in *buffer) (Head, error) {
	for {
		head, n, err := ParseHead(in.bytes())
		if err == nil {
			in.consume(n)
			return head, nil
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return Head{}, err
		}
		if err := in.fill(c); err != nil {
			if len(in.bytes()) == 0 {
				return Head{}, noAnswer(err)
			}
			return Head{}, cutOff(err)
		}
	}
}

// noAnswer marks the ways in which a connection ends: the end of input, and a reset.
func noAnswer(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return err
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("http: answer cut off: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("http: answer cut off: %w", err)
}

// ReadBody reads the whole body that belongs to head. The result is valid until the next read.
func (h *HTTP) ReadBody(head Head) ([]byte, error) {
	h.body = h.body[:0]
	err := h.read(head, func(b []byte) error {
		if h.body = append(h.body, b...); len(h.body) > maxMessage {
			return errors.New("http: body larger than the limit")
		}
		return nil
	})
	return h.body, err
}

// ReadEvents reads an event stream and calls each for every event that has data, as soon as it is complete.
// The event is valid during the call. It fails when the stream does not end with an empty line and the last chunk.
func (h *HTTP) ReadEvents(head Head, each func(Event) error) error {
	h.body = h.body[:0]
	err := h.read(head, func(b []byte) error {
		h.body = append(h.body, b...)
		rest := h.body
		for {
			e, n, err := ParseEvent(rest)
			if err != nil {
				break
			}
			rest = rest[n:]
			if len(e.Data) == 0 {
				continue
			}
			if err := each(e); err != nil {
				return err
			}
		}
		h.body = h.body[:copy(h.body, rest)]
		if len(h.body) > maxMessage {
			return errors.New("http: event larger than the limit")
		}
		return nil
	})
	if err == nil && len(h.body) > 0 {
		err = fmt.Errorf("sse: stream ended inside an event: %.100q", h.body)
	}
	return err
}

// read hands the pieces of the body to sink.
func (h *HTTP) read(head Head, sink func([]byte) error) error {
	// RFC 9110 sections 6.4.1 and 15: these have no content.
	if head.Status < 200 || head.Status == 204 || head.Status == 304 {
		return nil
	}
	if head.Chunked {
		return h.readChunks(sink)
	}
	if head.Length < 0 {
		return h.readToEnd(head, sink)
	}
	for left := head.Length; left > 0; {
		if len(h.in.bytes()) == 0 {
			if err := h.in.fill(h.conn); err != nil {
				return cutOff(err)
			}
		}
		b := h.in.bytes()
		b = b[:min(int64(len(b)), left)]
		left -= int64(len(b))
		h.in.consume(len(b))
		if err := sink(b); err != nil {
			return err
		}
	}
	return nil
}

func (h *HTTP) readChunks(sink func([]byte) error) error {
	var c Chunks
	for {
		data, n, done, err := c.Next(h.in.bytes())
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF), err == nil && n == 0:
			if err := h.in.fill(h.conn); err != nil {
				return cutOff(err)
			}
			continue
		case err != nil:
			return err
		}
		h.in.consume(n)
		if len(data) > 0 {
			if err := sink(data); err != nil {
				return err
			}
		}
		if done {
			return nil
		}
	}
}

func (h *HTTP) readToEnd(head Head, sink func([]byte) error) error {
	if !head.Close {
		return errors.New("http: response without length on a connection that stays open")
	}
	for {
		b := h.in.bytes()
		h.in.consume(len(b))
		if err := sink(b); err != nil {
			return err
		}
		if err := h.in.fill(h.conn); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return cutOff(err)
		}
	}
}

// AwaitEOF reads until the server has ended the connection, and complains about bytes before that.
func (h *HTTP) AwaitEOF() error { return awaitEOF(h.conn, &h.in) }

// SetReadBuffer bounds what the kernel takes in for a client that does not read.
func (h *HTTP) SetReadBuffer(bytes int) error { return setReadBuffer(h.conn, bytes) }

// Close closes the socket.
func (h *HTTP) Close() { _ = h.conn.Close() }

// Reset closes the socket with a TCP reset.
func (h *HTTP) Reset() { reset(h.conn) }
