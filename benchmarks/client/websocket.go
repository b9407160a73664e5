package client

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"
)

// CloseError reports that the server ended a WebSocket with a Close frame. Code is 1005 when the frame carried none.
type CloseError struct {
	Code   int
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("websocket: closed by the server: %d %s", e.Code, e.Reason)
}

// StatusError reports an HTTP status where another was needed.
type StatusError struct {
	Status int
	Body   string
}

func (e *StatusError) Error() string { return fmt.Sprintf("http: status %d: %.200s", e.Status, e.Body) }

// WebSocket is a client connection with the subprotocol mcp. Reads belong to one goroutine; writes may come from any.
type WebSocket struct {
	conn net.Conn
	in   buffer
	msg  []byte // parts of a fragmented message

	mu   sync.Mutex // guards what follows: a Pong may be written beside a message
	out  []byte
	seed uint64
	end  bool // a Close frame was sent
}

// DialWebSocket connects to addr (host:port) and upgrades on path. It fails when the server does not select mcp.
func DialWebSocket(ctx context.Context, addr, path string) (*WebSocket, error) {
	return DialWebSocketAs(ctx, addr, path, "")
}

// DialWebSocketAs is DialWebSocket with a bearer token, unless token is empty.
func DialWebSocketAs(ctx context.Context, addr, path, token string) (*WebSocket, error) {
	conn, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	w := &WebSocket{conn: conn}
	if err := w.handshake(addr, path, token); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

func dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second, KeepAlive: -1}
	return d.DialContext(ctx, "tcp", addr)
}

func (w *WebSocket) handshake(addr, path, token string) error {
	var nonce [24]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return err
	}
	w.seed = binary.LittleEndian.Uint64(nonce[16:]) | 1
	key := base64.StdEncoding.EncodeToString(nonce[:16])
	if err := w.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if token != "" {
		token = "Authorization: Bearer " + token + "\r\n"
	}
	if _, err := fmt.Fprintf(w.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mcp\r\n\r\n", path, addr, token, key); err != nil {
		return noAnswer(err)
	}
	head, err := readHead(w.conn, &w.in)
	if err != nil {
		return err
	}
	if head.Status != 101 {
		return &StatusError{Status: head.Status, Body: string(w.in.bytes())}
	}
	if got, want := string(head.Get("sec-websocket-accept")), AcceptKey(key); got != want {
		return fmt.Errorf("websocket: accept key %q, want %q", got, want)
	}
	if got := string(head.Get("sec-websocket-protocol")); got != "mcp" {
		return fmt.Errorf("websocket: subprotocol %q, want mcp", got)
	}
	if head.Get("sec-websocket-extensions") != nil {
		return errors.New("websocket: extension that was not offered")
	}
	return w.conn.SetDeadline(time.Time{})
}

// AcceptKey computes Sec-WebSocket-Accept for a Sec-WebSocket-Key: RFC 6455 section 4.2.2, item 5.
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// SetDeadline bounds all reads and writes from now on.
func (w *WebSocket) SetDeadline(t time.Time) error { return w.conn.SetDeadline(t) }

// Write sends one text message. b is free again on return. The error is net.ErrClosed after a Close frame was sent.
func (w *WebSocket) Write(b []byte) error { return w.write(OpText, b) }

// WritePart sends the first half of a text message's frame and nothing more, as a client does that dies in the middle.
func (w *WebSocket) WritePart(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = AppendFrame(w.out[:0], OpText, w.key(), b)
	_, err := w.conn.Write(w.out[:len(w.out)/2])
	return err
}

// WriteRaw sends bytes as they are, for clients that break the rules.
func (w *WebSocket) WriteRaw(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.conn.Write(b)
	return err
}

func (w *WebSocket) write(opcode byte, b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	// RFC 6455 section 5.5.1: "The application MUST NOT send any more data frames after sending a Close frame."
	if w.end {
		return net.ErrClosed
	}
	w.end = opcode == OpClose
	w.out = AppendFrame(w.out[:0], opcode, w.key(), b)
	_, err := w.conn.Write(w.out)
	return err
}

// key gives the next masking key (xorshift64; the load needs changing keys, not secret ones).
func (w *WebSocket) key() uint32 {
	w.seed ^= w.seed << 13
	w.seed ^= w.seed >> 7
	w.seed ^= w.seed << 17
	return uint32(w.seed >> 32)
}

// Read returns the next text message, valid until the next Read. It answers pings. The error is a *CloseError after a
// Close frame (which it answers), io.EOF when the connection ended without one, io.ErrUnexpectedEOF inside a frame.
func (w *WebSocket) Read() ([]byte, error) {
	w.msg = w.msg[:0]
	fragmented := false
	for {
		f, err := w.frame()
		if err != nil {
			return nil, err
		}
		switch f.Opcode {
		case OpPing:
			err = w.write(OpPong, f.Payload)
		case OpPong:
		case OpClose:
			return nil, w.closed(f.Payload)
		case OpBinary:
			err = errors.New("websocket: binary message")
		default:
			if (f.Opcode == OpContinuation) != fragmented {
				return nil, errors.New("websocket: continuation out of order")
			}
			if f.Fin && !fragmented {
				return f.Payload, checkText(f.Payload)
			}
			fragmented = true
			if w.msg = append(w.msg, f.Payload...); len(w.msg) > maxMessage {
				return nil, errors.New("websocket: message larger than the limit")
			}
			if f.Fin {
				return w.msg, checkText(w.msg)
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

func checkText(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("websocket: text message is not UTF-8")
	}
	return nil
}

func (w *WebSocket) frame() (Frame, error) {
	for {
		f, n, err := ParseFrame(w.in.bytes())
		if err == nil {
			w.in.consume(n)
			return f, nil
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return Frame{}, err
		}
		if err := w.in.fill(w.conn); err != nil {
			if errors.Is(err, io.EOF) && len(w.in.bytes()) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return Frame{}, err
		}
	}
}

func (w *WebSocket) closed(payload []byte) error {
	e := &CloseError{Code: 1005}
	if len(payload) == 1 {
		return errors.New("websocket: Close frame with one byte")
	}
	if len(payload) >= 2 {
		e.Code, e.Reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
		payload = payload[:2]
	}
	// RFC 6455 section 5.5.1: an endpoint that receives a Close frame sends one in response. The server may be gone already.
	_ = w.write(OpClose, payload)
	return e
}

// Close ends the connection by a close handshake with code 1000, then waits for the server to end the TCP connection
// (RFC 6455 section 7.1.1 has the server do it first). Messages that are still on their way are dropped.
func (w *WebSocket) Close() error {
	defer w.Abort()
	if err := w.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if err := w.write(OpClose, []byte{1000 >> 8, 1000 & 0xff}); err != nil {
		return fmt.Errorf("writing Close: %w", err)
	}
	for {
		f, err := w.frame()
		if err != nil {
			return fmt.Errorf("waiting for Close: %w", err)
		}
		if f.Opcode == OpClose {
			break
		}
	}
	return w.AwaitEOF()
}

// AwaitEOF reads until the server has ended the connection, and complains about bytes before that.
func (w *WebSocket) AwaitEOF() error { return awaitEOF(w.conn, &w.in) }

func awaitEOF(c net.Conn, in *buffer) error {
	if n := len(in.bytes()); n > 0 {
		return fmt.Errorf("client: %d bytes after the end", n)
	}
	switch err := in.fill(c); {
	case err == nil:
		return fmt.Errorf("client: %d bytes after the end", len(in.bytes()))
	case errors.Is(err, io.EOF):
		return nil
	default:
		return fmt.Errorf("waiting for the end of the connection: %w", err)
	}
}

// SetReadBuffer bounds what the kernel takes in for a client that does not read.
func (w *WebSocket) SetReadBuffer(bytes int) error { return setReadBuffer(w.conn, bytes) }

func setReadBuffer(c net.Conn, bytes int) error {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return errors.ErrUnsupported
	}
	return t.SetReadBuffer(bytes)
}

// Abort closes the socket without a handshake.
func (w *WebSocket) Abort() { _ = w.conn.Close() }

// Reset closes the socket with a TCP reset.
func (w *WebSocket) Reset() { reset(w.conn) }

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}
