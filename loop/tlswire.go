package loop

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// errAgain tells crypto/tls that there is nothing to read now. As it is Temporary,
// Conn.Read goes on where it was when it is called again: only other errors stick.
type errAgain struct{}

func (errAgain) Error() string   { return "no more bytes yet" }
func (errAgain) Timeout() bool   { return true }
func (errAgain) Temporary() bool { return true }

// tlsWire is the connection that crypto/tls believes in: bytes in memory. It has two
// lives. During the handshake a goroutine reads from it, and waits; the loop calls
// give, takeOut and fail. Then the loop calls settle, and from there on everything
// is the loop's own and nothing waits or locks.
type tlsWire struct {
	settled bool // set on the loop, when the goroutine has ended

	mu   sync.Mutex
	more chan struct{} // holds one element when in or err has changed
	in   []byte        // read by crypto/tls next
	out  []byte        // written by it
	err  error         // why the handshake is off

	turns chan struct{} // who may compute; given back while waiting
	wake  func()        // has the loop call takeOut

	// waits counts how often the goroutine has begun, and ended, to wait for the client:
	// it is odd while it waits. Any goroutine.
	waits atomic.Int64
}

// give adds bytes from the peer, and returns how many lie unread. Loop, handshake.
func (w *tlsWire) give(b []byte) (unread int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in = append(w.in, b...)
	w.signal()
	return len(w.in)
}

// unread is how many bytes give has given and nobody has read. Loop, handshake.
func (w *tlsWire) unread() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.in)
}

// takeOut returns what is to be sent. Loop, handshake.
func (w *tlsWire) takeOut() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.out
	w.out = nil
	return out
}

// fail ends the handshake. Loop.
func (w *tlsWire) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	w.signal()
}

func (w *tlsWire) signal() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// settle begins the second life, and returns what crypto/tls has not read yet.
func (w *tlsWire) settle() (rest []byte) {
	rest = w.in
	w.in, w.out, w.more, w.settled = nil, nil, nil, true
	return rest
}

// Read implements net.Conn.
func (w *tlsWire) Read(p []byte) (int, error) {
	if w.settled {
		if len(w.in) == 0 {
			return 0, errAgain{}
		}
		n := copy(p, w.in)
		w.in = w.in[n:]
		return n, nil
	}
	for {
		if n, err := w.tryRead(p); n > 0 || err != nil {
			return n, err
		}
		w.waits.Add(1)
		<-w.turns // somebody else may compute
		<-w.more
		w.waits.Add(1)
		w.turns <- struct{}{}
	}
}

func (w *tlsWire) tryRead(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}

// Write implements net.Conn. It never fails: a failure would stick to the tls.Conn.
func (w *tlsWire) Write(p []byte) (int, error) {
	if w.settled {
		w.out = append(w.out, p...)
		return len(p), nil
	}
	w.mu.Lock()
	first := len(w.out) == 0
	w.out = append(w.out, p...)
	w.mu.Unlock()
	if first {
		w.wake()
	}
	return len(p), nil
}

// The rest of net.Conn. The wheel of the loop keeps the deadlines.

// Close implements net.Conn.
func (w *tlsWire) Close() error { return nil }

// LocalAddr implements net.Conn.
func (w *tlsWire) LocalAddr() net.Addr { return memoryAddr{} }

// RemoteAddr implements net.Conn.
func (w *tlsWire) RemoteAddr() net.Addr { return memoryAddr{} }

// SetDeadline implements net.Conn.
func (w *tlsWire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (w *tlsWire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (w *tlsWire) SetWriteDeadline(time.Time) error { return nil }

type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "memory" }
